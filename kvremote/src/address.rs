//! Reads where the servers are: `valkey://[USER:PASSWORD@]HOST[:PORT][,HOST:PORT]…[/]`.
//!
//! Owns: [`Address`]. Invariants: a password is in no error and no `Debug` output; every address has at least
//! one server. Why not the URL parser of the client: it takes one host, and repeats the whole URL in some of
//! its errors.

use std::fmt;

use kvcore::{Error, RemotePlace, Result, Status, percent_decoded};

/// The port of a location that names none.
const PORT: u16 = 6379;

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    /// A name or a number, an IPv6 one without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Who a connection says it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// `None` is the default user.
    pub(crate) user: Option<String>,
    pub(crate) password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Where a remote store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Whether it is a cluster rather than one server.
    pub(crate) is_cluster: bool,
    /// The one server, or some of the cluster's.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) login: Option<Login>,
}

impl Address {
    /// Reads the part of a location before its options.
    ///
    /// # Errors
    /// `Invalid` for what cannot be read; `Unsupported` for another scheme that begins with `valkey`.
    pub(crate) fn read(place: &RemotePlace) -> Result<Address> {
        let (scheme, rest) = place.secret_text().split_once("://").unwrap_or_default();
        let is_cluster = match scheme {
            "valkey" => false,
            "valkey-cluster" => true,
            _ => {
                return Err(Error::new(
                    Status::Unsupported,
                    "the scheme of the location is unknown: use valkey:// for one server or \
                     valkey-cluster:// for a cluster; for TLS add the option tls=true",
                ));
            }
        };
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(read_login(login)?), rest),
            None => (None, rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            return Err(invalid(
                "nothing stands behind the / of the location but options after a ?",
            ));
        }
        let endpoints = hosts.split(',').map(read_endpoint).collect::<Result<Vec<_>>>()?;
        if !is_cluster && endpoints.len() > 1 {
            return Err(invalid(
                "valkey:// names one server: use valkey-cluster:// for several of a cluster",
            ));
        }
        Ok(Address { is_cluster, endpoints, login })
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(Status::Invalid, message)
}

fn read_login(text: &str) -> Result<Login> {
    let (user, password) = text.split_once(':').ok_or_else(|| {
        invalid(
            "before the @ of the location stands USER:PASSWORD, or :PASSWORD for the default user",
        )
    })?;
    // The error of decoding would show the text.
    let decoded = |text| {
        percent_decoded(text)
            .map_err(|_| invalid("user or password in the location are not UTF-8 once decoded"))
    };
    let user = decoded(user)?;
    Ok(Login { user: (!user.is_empty()).then_some(user), password: decoded(password)? })
}

fn read_endpoint(text: &str) -> Result<Endpoint> {
    let wrong = || {
        let message = format!(
            "'{}' in the location is no server: write HOST:PORT, and an IPv6 address in brackets",
            text.chars().take(64).flat_map(char::escape_debug).collect::<String>()
        );
        Error::new(Status::Invalid, message)
    };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            match port {
                "" => (host, None),
                _ => (host, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host = percent_decoded(host)?;
    let port = port.map_or(Ok(PORT), str::parse).ok().filter(|port| *port > 0);
    match port {
        Some(port) if !host.is_empty() => Ok(Endpoint { host, port }),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvcore::{Location, Options};

    fn address(text: &str) -> Result<Address> {
        match Location::read(text, &mut Options::new())? {
            Location::Remote(place) => Address::read(&place),
            place => panic!("{place:?} is not remote"),
        }
    }

    fn shown(text: &str) -> String {
        let address = address(text).unwrap();
        let names: Vec<String> = address.endpoints.iter().map(Endpoint::to_string).collect();
        names.join(" ")
    }

    #[test]
    fn servers() {
        assert_eq!(shown("valkey://h"), "h:6379");
        assert_eq!(shown("valkey://h:7000/?prefix=a"), "h:7000");
        assert_eq!(shown("valkey://[::1]"), "[::1]:6379");
        assert_eq!(shown("valkey-cluster://h1:7000,[fe80::1]:7001/"), "h1:7000 [fe80::1]:7001");
        assert!(address("valkey-cluster://h").unwrap().is_cluster);
    }

    #[test]
    fn users() {
        let login = address("valkey://me:a%40%3A%2F%3Fb:c@h").unwrap().login.unwrap();
        assert_eq!((login.user.as_deref(), &*login.password), (Some("me"), "a@:/?b:c"));
        let login = address("valkey://:pw@h").unwrap().login.unwrap();
        assert_eq!((login.user, &*login.password), (None, "pw"));
        assert!(address("valkey://h").unwrap().login.is_none());
    }

    #[test]
    fn faults_are_named_and_secrets_are_not() {
        for (text, status) in [
            ("valkey://", Status::Invalid),
            ("valkey://h:0", Status::Invalid),
            ("valkey://h:99999", Status::Invalid),
            ("valkey://h:x", Status::Invalid),
            ("valkey://a:1,b:2", Status::Invalid),
            ("valkey://[::1", Status::Invalid),
            ("valkey://[::1]7", Status::Invalid),
            ("valkey://h:1/3", Status::Invalid),
            ("valkey://hush@h", Status::Invalid),
            ("valkey://me:hush%ff@h", Status::Invalid),
            ("valkey-sentinel://me:hush@h", Status::Unsupported),
            ("valkey://me:hush@h?timeout=soon", Status::Invalid),
            ("valkey://me:hush@h?timeouts=5s", Status::Unsupported),
        ] {
            let error = address(text).unwrap_err();
            assert_eq!(error.status(), status, "{text}: {error}");
            assert!(!error.message().contains("hush"), "{error}");
        }
        assert!(address("valkey://h?timeouts=5s").unwrap_err().message().contains("'timeout'"));
        let shown = format!("{:?}", address("valkey://me:hush@h").unwrap());
        assert!(shown.contains("me") && !shown.contains("hush"), "{shown}");
    }
}
