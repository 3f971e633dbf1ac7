//! Who stands behind an HTTP request, or behind a certificate or a proxy.

use std::net::IpAddr;
use std::sync::Arc;

use taut_auth::{AuthError, Identity, Proof, Verifier};
use taut_gate::Close;
use taut_gate::http::Problem;
use taut_hub::{ConnId, Grant};
use taut_wire::http::Headers;

use super::super::{Core, Stream};
use super::tokens::Waiting;
use super::{Asker, FETCH_MS_MAX, Told};
use crate::identity::Judged;

impl Core {
    /// A Conn that speaks no HTTP is whoever its certificate names, until it shows a token.
    /// False where it has ended, since its user has too many.
    pub(crate) fn identify_peer(&mut self, id: ConnId) -> bool {
        match self.vouched(id, None) {
            Ok(Some(identity)) => {
                if self.check_revoked(id, &identity).is_err() {
                    self.close(id, Close::Revoked, None);
                    return false;
                }
                if let Err(over) = self.take_place(id, &identity) {
                    let retry_ms = u32::try_from(over.retry_ms()).unwrap_or(u32::MAX);
                    self.close(id, Close::RateLimited(retry_ms), Some(over.text));
                    return false;
                }
                self.admit(id, Arc::new(identity));
            }
            Ok(None) => {}
            Err(error) => {
                self.told(id, &error);
            }
        }
        true
    }

    /// Whom the proxy or the certificate vouches for: the user of its header where the proxy is one that is listed, else the certificate's name.
    fn vouched(
        &mut self,
        id: ConnId,
        headers: Option<&Headers<'_>>,
    ) -> Result<Option<Identity>, AuthError> {
        let Some(auth) = self
            .identities
            .doorman
            .auth()
            .filter(|_| self.identities.asks)
        else {
            return Ok(None);
        };
        if let (Some(headers), Some(proxy)) = (headers, &auth.by_proxy)
            && let Some(user) = headers.first(&proxy.user_header)
            && let Some(address) = self.peer_address(id)
            && proxy
                .networks
                .iter()
                .any(|network| network.contains(address))
        {
            // Two of them could be read in two ways.
            return match headers.all(&proxy.user_header).count() {
                1 => vouched(user, &proxy.grant, Proof::Proxy).map(Some),
                _ => Err(AuthError::Vouched("stands there twice")),
            };
        }
        match (&auth.by_certificate, self.certificate_name(id)) {
            (Some(grant), Some(name)) => vouched(name, grant, Proof::Certificate).map(Some),
            _ => Ok(None),
        }
    }

    /// The address at the other end: as the proxy of a `proxy://` listener says, else that of the socket, where it is one of TCP.
    pub(crate) fn peer_address(&mut self, id: ConnId) -> Option<IpAddr> {
        if let Some(client) = self.identities.client_of_conn(id) {
            return Some(client);
        }
        if let Some(origin) = self.identities.origin(id) {
            return Some(origin.address?.ip());
        }
        match &self.conns.find(id)?.stream {
            Stream::Tcp(stream) => Some(stream.peer_addr().ok()?.ip()),
            Stream::Tunnel(key) => self.tunnels.address(*key),
            _ => None,
        }
    }

    /// Lets somebody in for the request under way, as [`Core::identify_request`] says it.
    pub(crate) fn admit_request(
        &mut self,
        id: ConnId,
        identity: Arc<Identity>,
    ) -> Option<Option<Problem>> {
        let may = self.check_revoked(id, &identity);
        let may = may.and_then(|()| self.take_place(id, &identity).map_err(Told::Over));
        if let Err(told) = may {
            return Some(Some(told.problem()));
        }
        self.admit(id, identity);
        None
    }

    /// Who stands behind an HTTP request. `None`: it goes on. `Some(None)`: its head is to be read again later.
    pub(crate) fn identify_request(
        &mut self,
        id: ConnId,
        token: Option<&str>,
        headers: &Headers<'_>,
    ) -> Option<Option<Problem>> {
        if !self.identities.asks {
            return None;
        }
        let Some(token) = token else {
            return match self.vouched(id, Some(headers)) {
                Ok(Some(identity))
                    if self.identities.of(id).map(|one| &**one) == Some(&identity) =>
                {
                    None
                }
                Ok(Some(identity)) => self.admit_request(id, Arc::new(identity)),
                Ok(None) => {
                    self.dismiss(id);
                    None
                }
                Err(error) => Some(Some(self.told(id, &error).problem())),
            };
        };
        let patient = self.http_talk(id).is_none_or(|talk| !talk.is_impatient);
        match self.identities.judge(token, patient) {
            Judged::In(identity) => {
                let is_same = self.identities.of(id) == Some(&identity);
                match is_same {
                    true => None,
                    false => self.admit_request(id, identity),
                }
            }
            Judged::No(error) => Some(Some(self.told(id, &error).problem())),
            Judged::Later => {
                let until_ms = self.now.mono_ms + FETCH_MS_MAX;
                self.wait_with(Waiting {
                    conn: id,
                    token: "".into(),
                    asker: Asker::Request,
                    until_ms,
                    is_surplus: false,
                    revision: 0,
                });
                Some(None)
            }
        }
    }
}

/// The identity of somebody whom a certificate or a proxy vouches for.
fn vouched(name: &str, grant: &Arc<Grant>, proof: Proof) -> Result<Identity, AuthError> {
    Ok(Identity {
        proof,
        ..Verifier::vouched(name, grant)?
    })
}
