//! The file of users: what it means, and when it is read and written.

use std::io::{Read, Write};
use std::sync::Arc;

use kvcore::{Options, Store};
use kvserver::{Server, ServerOptions, Shared};

use crate::certificates::Files;
use crate::rig::{Rig, basic, connected, options, with_password};

const USERS: &str = "user default off
user root on >pw ~* &* +@all
user ada on #30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4 ~app:* &news +@read +subscribe +echo
";

#[test]
fn its_users_are_let_in_on_every_front_end() {
    let files = Files::new();
    let (rig, path) = Rig::with_users(&files, USERS);
    // The hash is of this password.
    let lines = ["AUTH ada pw", "ACL WHOAMI", "GET app:1", "SET app:1 v"];
    let answer = rig.redis(&lines);
    assert!(answer.starts_with("+OK\r\n-NOPERM"), "{answer}");
    assert!(
        answer.contains("$-1\r\n-NOPERM User ada has no permissions to run the 'set'"),
        "{answer}"
    );
    assert!(rig.ask("GET", "/v1/keys/app:1", &basic("ada", "pw")).starts_with("HTTP/1.1 404 "));
    assert!(rig.ask("PUT", "/v1/keys/app:1", &basic("ada", "pw")).starts_with("HTTP/1.1 403 "));
    // The file is not touched unless somebody asks for it.
    assert_eq!(std::fs::read_to_string(path).unwrap(), USERS);
}

#[test]
fn what_is_saved_is_loaded_by_the_next_server() {
    let files = Files::new();
    let (rig, path) = Rig::with_users(&files, USERS);
    let lines = ["AUTH root pw", "ACL SETUSER bob on >plain ~b:* +get", "ACL SAVE", "ACL LIST"];
    let answer = rig.redis(&lines);
    let saved = std::fs::read_to_string(&path).unwrap();
    assert!(!saved.contains("plain") && saved.lines().count() == 4, "{saved}");
    assert!(saved.lines().all(|line| answer.contains(line)), "{saved}\n{answer}");
    // Beside it nothing is left.
    assert_eq!(std::fs::read_dir(files.path()).unwrap().count(), 1);
    drop(rig);
    let again = Rig::new(ServerOptions { users_file: Some(path), ..options() });
    let answer = again.redis(&["AUTH bob plain", "GET b:1", "GET a:1"]);
    assert_eq!(answer, "+OK\r\n$-1\r\n-NOPERM No permissions to access a key\r\n+OK\r\n");
}

#[test]
fn new_users_have_the_channels_that_are_given_to_them() {
    let files = Files::new();
    let (rig, path) = Rig::with_users(&files, USERS);
    let channels = |name: &str| format!("ACL DRYRUN {name} PUBLISH c m");
    let [a, b, ada] = ["a", "b", "ada"].map(channels);
    let give = "CONFIG SET acl-pubsub-default";
    let refused = "'c' channel";
    let lines = [
        "AUTH root pw",
        "CONFIG GET acl-pubsub-default",
        "ACL SETUSER a on nopass +publish",
        &a,
        &format!("{give} allchannels"),
        "ACL SETUSER b on nopass +publish",
        &b,
        // Who is there keeps what it has, unless it begins anew.
        "ACL SETUSER ada +publish",
        &ada,
        "ACL SETUSER ada reset on nopass +publish",
        &ada,
        &format!("{give} none"),
        "CONFIG GET aclfile",
    ];
    let answer = rig.redis(&lines);
    let replies: Vec<&str> = answer.split_inclusive("\r\n").collect();
    assert!(answer.contains("resetchannels\r\n"), "{answer}");
    assert_eq!(replies.iter().filter(|reply| reply.contains(refused)).count(), 2, "{answer}");
    assert_eq!(replies.iter().filter(|reply| **reply == "+OK\r\n").count(), 9, "{answer}");
    assert!(
        answer.contains("must be one of the following: allchannels, resetchannels"),
        "{answer}"
    );
    assert!(answer.contains(path.to_str().unwrap()), "{answer}");
}

#[test]
fn what_is_loaded_holds_for_who_is_there() {
    let files = Files::new();
    let (rig, path) = Rig::with_users(&files, USERS);
    let login = |name: &str, more: &str| {
        let mut stream = connected(rig.resp());
        stream.write_all(format!("AUTH {name} pw\r\n{more}ECHO begun\r\n").as_bytes()).unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"begun\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        stream
    };
    let mut ada = login("ada", "");
    let mut listens = login("ada", "HELLO 3\r\nSUBSCRIBE news\r\n");
    let load = || rig.redis(&["AUTH root pw", "ACL LOAD"]);
    // With a fault anywhere nothing changes.
    std::fs::write(&path, format!("{USERS}user eve +nonsense\n")).unwrap();
    let answer = load();
    let fault = "users.acl:4: Error in applying operation '+nonsense': Unknown command or category name in \
                 ACL. WARNING: ACL errors detected, no change to the previously active ACL rules was \
                 performed\r\n";
    assert!(answer.starts_with("+OK\r\n-ERR ") && answer.contains(fault), "{answer}");
    // Other rules hold from the next command on, and a channel that is lost ends the subscription.
    std::fs::write(&path, USERS.replace("app:", "new:").replace("&news ", "")).unwrap();
    assert_eq!(load(), "+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(listens.read(&mut [0]).unwrap(), 0);
    ada.write_all(b"GET app:1\r\n").unwrap();
    let mut answer = [0; 40];
    ada.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"-NOPERM No permissions to access a key\r\n");
    // Who is gone is disconnected.
    std::fs::write(&path, "user root on >pw ~* &* +@all\n").unwrap();
    assert_eq!(load(), "+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(ada.read(&mut [0]).unwrap(), 0);
    // The user default stays as it was.
    assert!(rig.redis(&["PING"]).starts_with("-NOAUTH"));
}

#[test]
fn the_user_default_of_the_file_wins_over_the_password() {
    let files = Files::new();
    let path = files.write("users.acl", "user default on >new ~* &* +@all\n");
    let options = ServerOptions { users_file: Some(path.clone()), ..with_password("old") };
    let rig = Rig::new(options.clone());
    let answer = rig.redis(&["AUTH old", "AUTH new"]);
    assert!(answer.starts_with("-WRONGPASS") && answer.ends_with("\r\n+OK\r\n+OK\r\n"), "{answer}");
    drop(rig);
    std::fs::write(&path, "").unwrap();
    assert_eq!(Rig::new(options).redis(&["AUTH old"]), "+OK\r\n+OK\r\n");
}

#[test]
fn others_are_let_in_only_if_the_user_default_is_not_open() {
    let files = Files::new();
    let open = |users: &str| {
        let everywhere = Some("0.0.0.0:0".parse().unwrap());
        let users_file = Some(files.write("users.acl", users));
        let options = ServerOptions { users_file, grpc: everywhere, ..options() };
        let shared = Shared::new(Store::memory(Options::new()).unwrap(), options).unwrap();
        let opened = Server::open(Arc::clone(&shared));
        shared.stop();
        opened.map(Server::join).map_err(|error| error.to_string())
    };
    assert_eq!(open("user default off\n"), Ok(()));
    assert_eq!(open("user default on >pw ~* +@all\n"), Ok(()));
    for users in ["user ada on >pw\n", "user default on nopass\n"] {
        let refused = open(users).unwrap_err();
        assert!(refused.contains("without a password"), "{refused}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_told() {
    let files = Files::new();
    let refused = |path| {
        let store = Store::memory(Options::new()).unwrap();
        let options = ServerOptions { users_file: Some(path), ..options() };
        Shared::new(store, options).map(drop).unwrap_err().to_string()
    };
    assert!(refused(files.path().join("none")).contains("none': there is no such file: make it"));
    let refused = refused(files.write("bad", "user a on <hunter2\n"));
    assert!(refused.contains("bad:1: Error") && !refused.contains("hunter2"), "{refused}");
    // Without a file there is nothing to load or to save.
    let answer = Rig::new(options()).redis(&["ACL LOAD", "ACL SAVE"]);
    assert_eq!(answer.matches("is not configured to use an ACL file").count(), 2);
    // A file that cannot be written is an error, and no end.
    let (rig, path) = Rig::with_users(&files, USERS);
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(files.path().join("bad")).unwrap();
    std::fs::remove_dir(files.path()).unwrap();
    let answer = rig.redis(&["AUTH root pw", "ACL SAVE", "PING"]);
    assert!(answer.contains("-ERR There was an error trying to save the ACLs"), "{answer}");
    assert!(answer.ends_with("+PONG\r\n+OK\r\n"), "{answer}");
}
