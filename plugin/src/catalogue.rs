//! Every kind of failure by an id that stays the same, for `explain`, docs/errors.md and scripts: what it means, by what one
//! sees it, what helps.
//!
//! A [`crate::error::Failure`] tells of one case, in words of its own; an [`Id`] tells of them all. Numbers up to 99 are
//! those of the protocol ([`Code`]); they are never used again for another thing.

mod connection;
mod id;
mod injector;
mod plugin;
#[cfg(test)]
pub(crate) mod seen;
mod server;
mod start;

use std::fmt;

use jattach_protocol::Code;

pub(crate) use id::Id;

/// What the catalogue says of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Why that is.
    pub(crate) meaning: &'static str,
    /// What the failure shows.
    pub(crate) evidence: &'static str,
    /// What the user can do.
    pub(crate) remedy: &'static str,
}

impl Id {
    /// The kind of that id, `JAT-012`; also without its letters and zeros, in any case.
    pub(crate) fn parse(id: &str) -> Option<Id> {
        let id = id.to_ascii_uppercase();
        let number: u16 = id.strip_prefix("JAT-").unwrap_or(&id).parse().ok()?;
        Id::ALL.into_iter().find(|id| id.number() == number)
    }

    /// What the catalogue says of it.
    pub(crate) fn entry(self) -> Entry {
        injector::entry(self)
            .or_else(|| server::entry(self))
            .or_else(|| connection::entry(self))
            .or_else(|| start::entry(self))
            .or_else(|| plugin::entry(self))
            .unwrap_or(Entry { meaning: "", evidence: "", remedy: "" })
    }

    /// The number of its id.
    pub(crate) fn number(self) -> u16 {
        self as u16
    }
}

/// Its id: `JAT-012`.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JAT-{:03}", self.number())
    }
}

/// What the injector reports has the number of its code.
impl From<Code> for Id {
    fn from(code: Code) -> Id {
        Id::ALL.into_iter().find(|id| id.number() == code as u16).unwrap_or(Id::Other)
    }
}

#[cfg(test)]
#[path = "catalogue/tests.rs"]
mod tests;
