//! The native dialect: requests become commands, and what the hub says becomes replies.

mod command;
mod encode;

pub use crate::http::position;
pub(crate) use command::{batch, everything, rewound};
pub use command::{command, deletion, of_request};
pub use encode::{
    EXPELLED, encode_authed, encode_bye, encode_counts, encode_error, encode_expelled, encode_gap,
    encode_got, encode_history, encode_joined, encode_left, encode_list, encode_pong,
    encode_presence, encode_published, encode_refused, encode_renamed, encode_state,
    encode_streaming, encode_who,
};
pub(crate) use encode::{NO_KEY, member, roster, with_deliveries, with_page};
