//! Who may come in, and what they may do then.

use crate::client::{Running, check};
use kvserver::{Server, ServerOptions};

fn with_password() -> Running {
    let password = Some("secret word".to_owned());
    Running::with(ServerOptions { threads: 1, password, ..ServerOptions::default() })
}

#[test]
fn nothing_is_done_without_the_password() {
    let running = with_password();
    let mut client = running.client();
    check(
        &mut client,
        &[
            ("GET k", "-NOAUTH Authentication required."),
            ("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled."),
            ("AUTH nobody wrong", "-WRONGPASS invalid username-password pair or user is disabled."),
            ("SET k v", "-NOAUTH Authentication required."),
        ],
    );
    assert!(client.ask("HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    assert_eq!(client.ask_words(&["AUTH", "secret word"]), "+OK");
    assert_eq!(client.ask("GET k"), "nil");
    assert_eq!(client.ask("RESET"), "+RESET");
    assert_eq!(client.ask("GET k"), "-NOAUTH Authentication required.");
    // The password is nowhere to be read.
    client.ask_words(&["AUTH", "secret word"]);
    for line in ["CONFIG GET *", "INFO everything", "CLIENT LIST", "ACL LIST", "SLOWLOG GET"] {
        assert!(!client.ask(line).contains("secret"), "{line}");
    }
}

#[test]
fn requests_are_small_before_the_password() {
    let running = with_password();
    let mut client = running.client();
    client.send(b"*11\r\n");
    assert_eq!(client.reply(), "-ERR Protocol error: unauthenticated multibulk length");
    assert!(client.is_closed());
    let mut client = running.client();
    client.send(b"*1\r\n$16385\r\n");
    assert_eq!(client.reply(), "-ERR Protocol error: unauthenticated bulk length");
    assert!(client.is_closed());
}

#[test]
fn users_do_what_they_may() {
    let running = Running::new();
    let (mut admin, mut user) = (running.client(), running.client());
    check(
        &mut admin,
        &[
            ("ACL SETUSER ada on >pass ~a:* &news +@read +set +publish", "+OK"),
            (
                "ACL SETUSER ada +nonsense",
                "-ERR Error in ACL SETUSER modifier '+nonsense': Unknown command or category name in ACL",
            ),
            ("ACL DRYRUN ada GET a:1", "+OK"),
            ("ACL WHOAMI", "$default"),
        ],
    );
    check(
        &mut user,
        &[
            ("AUTH ada pass", "+OK"),
            ("SET a:1 v", "+OK"),
            ("GET a:1", "$v"),
            ("GET b:1", "-NOPERM No permissions to access a key"),
            ("DEL a:1", "-NOPERM User ada has no permissions to run the 'del' command"),
            ("PUBLISH news m", ":0"),
            ("PUBLISH other m", "-NOPERM No permissions to access a channel"),
            ("CONFIG GET *", "-NOPERM User ada has no permissions to run the 'config|get' command"),
        ],
    );
    assert!(admin.ask("ACL LOG").contains("$reason $channel"));
    // A rule that changes holds for whoever is here.
    admin.ask("ACL SETUSER ada -set");
    assert!(user.ask("SET a:1 v").starts_with("-NOPERM"));
    assert_eq!(admin.ask("ACL DELUSER ada"), ":1");
    assert!(user.is_closed());
}

#[test]
fn others_are_not_let_in_without_a_password() {
    let store = kvcore::Store::memory(kvcore::Options::new()).unwrap();
    let shared = kvserver::Shared::new(store, ServerOptions::default()).unwrap();
    let error = Server::start(shared, "0.0.0.0:0".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("without a password"), "{error}");
}

#[test]
fn rules_and_questions_that_mean_nothing_are_refused() {
    let running = Running::new();
    check(
        &mut running.client(),
        &[
            (
                "ACL SETUSER u +get|a|b",
                "-ERR Error in ACL SETUSER modifier '+get|a|b': Unknown command or category name in ACL",
            ),
            (
                "ACL SETUSER u +config|get|a",
                "-ERR Error in ACL SETUSER modifier '+config|get|a': Allowing first-arg of a subcommand is not supported",
            ),
            (
                "ACL CAT a b",
                "-ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.",
            ),
        ],
    );
}
