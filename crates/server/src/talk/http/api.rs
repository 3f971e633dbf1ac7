//! The server API: who may ask, and what is done about it.

use std::sync::Arc;

use taut_auth::{ApiKey, Revocation};
use taut_gate::http::Problem;
use taut_gate::http::api::{
    self, ApiRequest, Call, Conns, Cursor, Found, Rooms, RoomsCursor, encode_done, encode_found,
    encode_grant, encode_policy, encode_reloaded,
};
use taut_hub::{ConnId, Grant, Input, Right, RoomName};
use taut_wire::http::Framing;

use super::super::Talk;
use super::{Phase, is_bodyless};
use crate::core::{Core, Flag, Kept, Survey, What, nothing_found};
use crate::identity::{Judged, Revoker, Revoking};
use crate::reload::ReloadRequest;

/// As whom somebody asks.
#[derive(Debug)]
struct Authority {
    /// The user whose words these are.
    user: Option<Arc<str>>,
    /// Whether a key was shown, and not a token.
    has_key: bool,
}

impl Core {
    pub(super) fn api(&mut self, id: ConnId, asked: ApiRequest, framing: Framing, expects: bool) {
        let ApiRequest { shown, room, call } = asked;
        if matches!(call, Call::Document) {
            return self.say_json(id, api::document(env!("CARGO_PKG_VERSION")).as_bytes());
        }
        let authority = match self.authority(shown.as_deref(), room.as_ref()) {
            Ok(authority) => authority,
            Err(problem) => {
                if !is_bodyless(framing) {
                    self.last_request(id);
                }
                return self.answer_problem(id, &problem);
            }
        };
        if let Call::Room(action) = call {
            self.lift(id, authority);
            return self.begin(id, *action, framing, expects);
        }
        if !is_bodyless(framing) {
            self.last_request(id);
            let detail =
                "only what publishes or sets has a body here; send this request without one";
            return self.answer_problem(id, &Problem::new(400, "unexpected-body", detail));
        }
        match call {
            Call::Rooms(Rooms {
                pattern,
                cursor,
                limit,
            }) => {
                let found = Found::Rooms(Vec::new());
                let (at, after) = match cursor {
                    RoomsCursor::Memory(cursor) => (cursor, None),
                    RoomsCursor::Store(after) => (Cursor::END, after),
                };
                let what = What::Rooms(Box::new((pattern, Kept::After(after))));
                self.survey_for(id, what, at, limit, found);
            }
            Call::Conns(conns) => self.survey_conns(id, conns),
            Call::Policy(room) => {
                let mut body = Vec::new();
                encode_policy(&mut body, &room, &self.policy_of(&room));
                self.say_json(id, &body);
            }
            Call::Grant { room, token } => self.explain_grant(id, &room, token.as_deref()),
            Call::Revoke(revoke) => self.revoke(id, revoke),
            Call::Reload => self.ask_for_reload(id),
            Call::Room(_) | Call::Document => {}
        }
    }

    /// Who asks, with which right: with a key everything, in every room; with a token that grants `admin` what is about that room. Of all that is asked
    /// through the API this is the one judge.
    fn authority(
        &mut self,
        shown: Option<&str>,
        room: Option<&RoomName>,
    ) -> Result<Authority, Problem> {
        let keys = self.auth.as_deref().map_or(&[][..], |auth| &auth.api_keys);
        if keys.is_empty() && !self.identities.asks() {
            let detail = "the server API is off; make a key with `taut token key` and put its hash into auth.api_keys";
            return Err(Problem::new(403, "forbidden", detail));
        }
        let Some(shown) = shown else {
            let detail = "show a key of the server API: Authorization: Bearer KEY";
            return Err(Problem::new(401, "unauthorized", detail));
        };
        if ApiKey::find(shown, keys).is_some() {
            return Ok(Authority {
                user: None,
                has_key: true,
            });
        }
        if !self.identities.asks() || !shown.contains('.') {
            let detail = "this is no key of the server API; `taut token key` makes one";
            return Err(Problem::new(401, "unauthorized", detail));
        }
        match self.identities.judge(shown, false) {
            Judged::In(identity) => {
                let user = identity.user.clone();
                let is_admin = |room| identity.grant.allows(room, Right::Admin, user.as_deref());
                if room.is_some_and(is_admin) {
                    return Ok(Authority {
                        user,
                        has_key: false,
                    });
                }
                let detail = match room {
                    Some(_) => {
                        "the right admin is needed in this room, and the token does not grant it"
                    }
                    None => "this is about more than one room, and needs a key of auth.api_keys",
                };
                Err(Problem::new(403, "forbidden", detail))
            }
            Judged::No(error) => Err(Problem::new(401, "unauthorized", error.said())),
            Judged::Later => Err(Problem {
                retry_s: Some(1),
                ..Problem::new(
                    503,
                    "unavailable",
                    "too many tokens are shown at once; try again",
                )
            }),
        }
    }

    /// Until the request is answered the Conn may do everything.
    fn lift(&mut self, id: ConnId, authority: Authority) {
        // Whose the request before was means nothing here.
        self.dismiss(id);
        self.open(id);
        if let Some(talk) = self.http_talk(id) {
            talk.is_lifted = true;
            talk.has_key = authority.has_key;
        }
        // It is let in already, so this cannot fail.
        let _ = self.limiter.belong(id.slot, authority.user.as_ref(), true);
        self.hub(Input::Granted {
            conn: id,
            user: authority.user,
            grant: Arc::new(Grant::open()),
        });
    }

    /// Whether the request under way has every right.
    pub(crate) fn is_lifted(&mut self, id: ConnId) -> bool {
        self.http_talk(id).is_some_and(|talk| talk.is_lifted)
    }

    /// Whether a Conn asks with a key of the API, to which no rate applies.
    pub(crate) fn has_key(&mut self, id: ConnId) -> bool {
        self.http_talk(id)
            .is_some_and(|talk| talk.is_lifted && talk.has_key)
    }

    /// The request is answered: the Conn is nobody again. What it may have been before, its next request shows anew.
    pub(super) fn lower(&mut self, id: ConnId) {
        let is_lifted = |talk: &mut super::HttpTalk| std::mem::take(&mut talk.is_lifted);
        if self.http_talk(id).is_some_and(is_lifted) {
            let grant = self.anonymous();
            self.hub(Input::Granted {
                conn: id,
                user: None,
                grant,
            });
        }
    }

    fn survey_conns(&mut self, id: ConnId, conns: Box<Conns>) {
        let (limit, found) = (conns.limit, nothing_found(&conns.deed));
        let cursor = match conns.select.conn {
            Some((core, _)) if core >= self.cores => return self.no_such_conn(id),
            Some((core, _)) => Cursor { core, place: 0 },
            None => conns.cursor,
        };
        self.survey_for(id, What::Conns(conns), cursor, limit, found);
    }

    fn survey_for(&mut self, id: ConnId, what: What, cursor: Cursor, limit: u32, found: Found) {
        self.wait_for_others(id);
        if !self.survey(id, what, cursor, limit, found) {
            let problem = Problem {
                retry_s: Some(1),
                ..Problem::new(
                    503,
                    "full",
                    "too many lists are asked for at once; try again",
                )
            };
            self.answer_problem(id, &problem);
        }
    }

    /// A survey has come back. The Conn may have gone, and another one may have its slot.
    pub(crate) fn survey_done(&mut self, id: ConnId, survey: &Survey) {
        if !self.is_surveying(id) {
            return;
        }
        let is_one = matches!(&survey.what, What::Conns(conns) if conns.select.conn.is_some());
        let is_nobody = match &survey.found {
            Found::Done(counted) => counted.all() == 0,
            Found::Grant(grant) => grant.is_none(),
            Found::Rooms(_) | Found::Conns(_) => false,
        };
        if is_one && is_nobody {
            return self.no_such_conn(id);
        }
        if let Some(error) = &survey.failure {
            let problem = Problem::new(503, "unavailable", error.to_string());
            return self.answer_problem(id, &problem);
        }
        let mut body = Vec::new();
        let next = survey.next(self.cores, self.safe.is_some());
        encode_found(&mut body, &survey.found, next.as_deref());
        self.say_json(id, &body);
    }

    fn no_such_conn(&mut self, id: ConnId) {
        let detail = "there is no such Conn, or it is not in that room";
        self.answer_problem(id, &Problem::new(404, "not-found", detail));
    }

    fn explain_grant(&mut self, id: ConnId, room: &RoomName, token: Option<&str>) {
        let mut body = Vec::new();
        match token {
            None => encode_grant(&mut body, room, None, &self.anonymous()),
            Some(token) => match self.identities.judge(token, false) {
                Judged::In(identity) => {
                    let user = identity.user.as_deref();
                    encode_grant(&mut body, room, user, &identity.grant);
                }
                Judged::No(error) => {
                    let problem = Problem::new(400, "bad-field", error.to_string());
                    return self.answer_problem(id, &problem);
                }
                Judged::Later => {
                    let detail = "too many tokens are shown at once; try again";
                    return self.answer_problem(id, &Problem::new(503, "unavailable", detail));
                }
            },
        }
        self.say_json(id, &body);
    }

    /// The disk is written, so a thread of its own does it.
    fn revoke(&mut self, id: ConnId, revoke: api::Revoke) {
        let now_s = self.now.unix_ms / 1_000;
        let revocation = match revoke {
            api::Revoke::User(user) => Revocation::User {
                user,
                issued_s_max: now_s,
            },
            api::Revoke::Token(id) => Revocation::Token { id },
            api::Revoke::IssuedBefore(time_s) => Revocation::All {
                issued_s_max: time_s.saturating_sub(1),
            },
        };
        if let Err(unfit) = revocation.check(now_s) {
            let problem = Problem::new(400, "bad-query", unfit.to_string());
            return self.answer_problem(id, &problem);
        }
        let revoking = Revoking {
            revocation,
            conn: id,
            answers: self.revoked.0.clone(),
            alert: Arc::clone(&self.alert),
        };
        match Revoker(Arc::clone(&self.identities.doorman)).ask(revoking) {
            Ok(()) => self.wait_for_others(id),
            Err(problem) => self.answer_problem(id, &problem),
        }
    }

    /// What came of revocations.
    pub(crate) fn hear_revoked(&mut self) {
        while let Ok((id, outcome)) = self.revoked.1.try_recv() {
            if !self.is_surveying(id) {
                continue;
            }
            match outcome {
                Ok(()) => {
                    let mut body = Vec::new();
                    encode_done(&mut body);
                    self.say_json(id, &body);
                }
                Err(detail) => {
                    self.answer_problem(id, &Problem::new(503, "unavailable", detail));
                }
            }
        }
    }

    /// Files are read, and every core is asked, so somebody else does it.
    fn ask_for_reload(&mut self, id: ConnId) {
        let asked = ReloadRequest::of(id, self.reloaded.0.clone(), Arc::clone(&self.alert));
        match self.reloads.ask(asked) {
            Ok(()) => self.wait_for_others(id),
            Err(problem) => self.answer_problem(id, &problem),
        }
    }

    /// What came of reloads.
    pub(crate) fn hear_reloaded(&mut self) {
        while let Ok((id, outcome)) = self.reloaded.1.try_recv() {
            if !self.is_surveying(id) {
                continue;
            }
            match outcome.problems.as_slice() {
                [] => {
                    let mut body = Vec::new();
                    encode_reloaded(&mut body, &outcome.changed, &outcome.waiting);
                    self.say_json(id, &body);
                }
                problems => {
                    let detail = format!(
                        "nothing was changed, the configuration has mistakes: {}",
                        problems.join("; ")
                    );
                    self.answer_problem(id, &Problem::new(422, "bad-configuration", detail));
                }
            }
        }
    }

    /// Pauses a Conn whose answer comes from elsewhere.
    fn wait_for_others(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.flags.set(Flag::Paused, true);
        if let Talk::Http(talk) = &mut conn.talk {
            talk.phase = Phase::Surveying;
        }
        self.set_alarm_off(id.slot);
    }

    fn is_surveying(&mut self, id: ConnId) -> bool {
        let talk = self.http_talk(id);
        talk.is_some_and(|talk| matches!(talk.phase, Phase::Surveying))
    }

    fn say_json(&mut self, id: ConnId, body: &[u8]) {
        self.answer(id, |responder, out, reply| responder.json(out, reply, body));
    }
}
