//! TLS on every front end: with whom it is spoken, and which certificates are accepted.

use std::io::{Read, Write};
use std::sync::Arc;

use kvcore::{Clock, Options, Store};
use kvserver::{ClientCertificate, Server, ServerOptions, Shared, TlsOptions};
use rustls::AlertDescription;

use crate::certificates::{Authority, Files};
use crate::rig::{
    Rig, alert, connected, http_request, options, redis_lines, secured, talk, tls, with_password,
};

#[test]
fn every_front_end_speaks_tls_and_nothing_else() {
    let (files, authority) = (Files::new(), Authority::new("servers"));
    let tls = tls(&files, &authority.server(), None);
    let rig = Rig::new(ServerOptions { tls: Some(tls), ..options() });
    let trusted = authority.trusted(None, &[]);
    let answer = talk(secured(rig.resp(), &trusted), &redis_lines(&["SET k v", "GET k"])).unwrap();
    assert_eq!(answer, "+OK\r\n$1\r\nv\r\n+OK\r\n");
    let request = http_request("GET", "/v1/keys/k", "", "");
    let web = authority.trusted(None, &["http/1.1"]);
    let answer = talk(secured(rig.http(), &web), request.as_bytes()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nv"), "{answer}");
    // HTTP/2 is agreed on by a client that has both, on HTTP as on gRPC.
    for address in [rig.http(), rig.grpc()] {
        let mut stream = secured(address, &authority.trusted(None, &["http/1.1", "h2"]));
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
        // A frame of settings.
        assert_eq!(head[3], 4);
    }
    // Without TLS nothing is answered but an alert.
    for (address, _) in rig.fronts() {
        let answer = talk(connected(address), b"PING\r\n\r\n").unwrap_or_default();
        assert!(!answer.contains("PONG") && !answer.contains("HTTP"), "{answer}");
    }
    // Who believes another authority does not go on.
    let other = Authority::new("others").trusted(None, &[]);
    let error = secured(rig.resp(), &other).read(&mut [0]).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn replies_that_are_longer_than_every_buffer_arrive() {
    let (files, authority) = (Files::new(), Authority::new("servers"));
    let tls = tls(&files, &authority.server(), None);
    let rig = Rig::new(ServerOptions { tls: Some(tls), reply_bytes_max: 1 << 20, ..options() });
    rig.store.set("k", vec![b'v'; 700_000]).unwrap();
    let trusted = authority.trusted(None, &[]);
    let lines = vec!["GET k"; 20];
    let answer = talk(secured(rig.resp(), &trusted), &redis_lines(&lines)).unwrap();
    assert_eq!(answer.len(), 20 * (700_000 + "$700000\r\n\r\n".len()) + "+OK\r\n".len());
}

#[test]
fn certificates_of_clients_are_judged_on_every_front_end() {
    let (files, servers) = (Files::new(), Authority::new("servers"));
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let tls = tls(&files, &servers.server(), Some(&clients));
    let rig = Rig::new(ServerOptions { tls: Some(tls), ..options() });
    for (address, protocols) in rig.fronts() {
        let trusted = |pair| servers.trusted(pair, protocols);
        assert_eq!(alert(address, &trusted(None)), AlertDescription::CertificateRequired);
        let expired = clients.client("ada", 2001);
        assert_eq!(alert(address, &trusted(Some(&expired))), AlertDescription::CertificateExpired);
        let other = others.client("ada", 2100);
        assert_eq!(alert(address, &trusted(Some(&other))), AlertDescription::UnknownCA);
        // A certificate of a server is none for a client.
        let server = clients.server();
        let refused = alert(address, &trusted(Some(&server)));
        assert_ne!(refused, AlertDescription::CloseNotify);
    }
    let right = servers.trusted(Some(&clients.client("ada", 2100)), &[]);
    let answer = talk(secured(rig.resp(), &right), &redis_lines(&["ACL WHOAMI"])).unwrap();
    assert_eq!(answer, "$7\r\ndefault\r\n+OK\r\n");
    let metrics = http_request("GET", "/metrics", "", "");
    let answer = talk(secured(rig.http(), &right), metrics.as_bytes()).unwrap();
    assert!(answer.contains("kv_server_tls_failed_total 12\n"), "{answer}");
}

#[test]
fn a_certificate_that_was_revoked_is_refused_on_every_front_end() {
    let (files, servers) = (Files::new(), Authority::new("servers"));
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let (revoked, list) = clients.revoked_client("ada", 2031);
    let sound = clients.client("bob", 2100);
    let tls = TlsOptions {
        client_ca_file: Some(files.write("both.pem", &(clients.pem() + &others.pem()))),
        client_crl_file: Some(files.write("revoked.pem", &list)),
        ..tls(&files, &servers.server(), None)
    };
    // 2030-12-31 00:00.
    let (clock, hand) = Clock::manual(1_924_905_600_000);
    let store = Store::with_clock(Options::new(), clock).unwrap();
    let rig = Rig::on(store, ServerOptions { tls: Some(tls), ..options() });
    for (address, protocols) in rig.fronts() {
        let trusted = servers.trusted(Some(&revoked), protocols);
        assert_eq!(alert(address, &trusted), AlertDescription::CertificateRevoked);
    }
    let ping = redis_lines(&["PING"]);
    let config = servers.trusted(Some(&sound), &[]);
    assert_eq!(talk(secured(rig.resp(), &config), &ping).unwrap(), "+PONG\r\n+OK\r\n");
    // Of the other authority there is no list, so nobody knows whom it has revoked.
    let unknown = servers.trusted(Some(&others.client("eve", 2100)), &[]);
    assert_eq!(alert(rig.resp(), &unknown), AlertDescription::UnknownCA);
    // A list that is past tells nothing of those who were revoked since; another one is read in its place.
    hand.advance_ms(2 * 86_400_000);
    assert_eq!(alert(rig.resp(), &config), AlertDescription::UnknownCA);
    files.write("revoked.pem", &clients.revoked_client("ada", 2100).1);
    assert_eq!(rig.shared.tls.as_ref().unwrap().reload(), Ok(Vec::new()));
    assert_eq!(talk(secured(rig.resp(), &config), &ping).unwrap(), "+PONG\r\n+OK\r\n");
}

#[test]
fn a_certificate_runs_out_by_the_clock_of_the_store() {
    let (files, servers) = (Files::new(), Authority::new("servers"));
    let clients = Authority::new("clients");
    let tls = tls(&files, &servers.server(), Some(&clients));
    // 2030-12-31 00:00.
    let (clock, hand) = Clock::manual(1_924_905_600_000);
    let store = Store::with_clock(Options::new(), clock).unwrap();
    let rig = Rig::on(store, ServerOptions { tls: Some(tls), ..options() });
    let config = servers.trusted(Some(&clients.client("ada", 2031)), &[]);
    let ping = redis_lines(&["PING"]);
    assert_eq!(talk(secured(rig.resp(), &config), &ping).unwrap(), "+PONG\r\n+OK\r\n");
    hand.advance_ms(2 * 86_400_000);
    // The same client is not let in by a session that it remembers.
    assert_eq!(alert(rig.resp(), &config), AlertDescription::CertificateExpired);
}

#[test]
fn a_certificate_can_name_the_user() {
    let (files, servers) = (Files::new(), Authority::new("servers"));
    let clients = Authority::new("clients");
    let tls = TlsOptions {
        client_certificate: ClientCertificate::Optional,
        names_users: true,
        ..tls(&files, &servers.server(), Some(&clients))
    };
    let rig = Rig::new(ServerOptions { tls: Some(tls), ..with_password("secret") });
    let of = |name: &str| servers.trusted(Some(&clients.client(name, 2100)), &[]);
    let setup = ["AUTH secret", "ACL SETUSER ada on ~a:* +get +set +reset +acl", "SET b:1 x"];
    talk(secured(rig.resp(), &of("nobody")), &redis_lines(&setup)).unwrap();
    let lines = ["SET a:1 v", "GET b:1", "ACL WHOAMI", "RESET", "ACL WHOAMI"];
    let answer = talk(secured(rig.resp(), &of("ada")), &redis_lines(&lines)).unwrap();
    let refused = "-NOPERM No permissions to access a key\r\n";
    let whoami = "$3\r\nada\r\n";
    assert_eq!(answer, format!("+OK\r\n{refused}{whoami}+RESET\r\n{whoami}+OK\r\n"));
    let status = |config, key: &str| {
        let request = http_request("GET", &format!("/v1/keys/{key}"), "", "");
        talk(secured(rig.http(), &config), request.as_bytes()).unwrap()[..12].to_owned()
    };
    assert_eq!(status(of("ada"), "a:1"), "HTTP/1.1 200");
    assert_eq!(status(of("ada"), "b:1"), "HTTP/1.1 403");
    // A name that no user has, or one that is off, opens nothing; nor does no certificate.
    talk(secured(rig.resp(), &of("x")), &redis_lines(&["AUTH secret", "ACL SETUSER ada off"]))
        .unwrap();
    for config in [of("nobody"), of("ada"), servers.trusted(None, &[])] {
        assert_eq!(status(Arc::clone(&config), "a:1"), "HTTP/1.1 401");
        let answer = talk(secured(rig.resp(), &config), &redis_lines(&["GET a:1"])).unwrap();
        assert_eq!(answer, "-NOAUTH Authentication required.\r\n+OK\r\n");
    }
}

#[test]
fn loopback_can_stay_plain() {
    let (files, authority) = (Files::new(), Authority::new("servers"));
    let tls = TlsOptions { loopback_plain: true, ..tls(&files, &authority.server(), None) };
    let rig = Rig::new(ServerOptions { tls: Some(tls), ..options() });
    assert_eq!(rig.redis(&["PING"]), "+PONG\r\n+OK\r\n");
    assert!(rig.ask("GET", "/healthz", "").starts_with("HTTP/1.1 200 "));
}

#[test]
fn others_are_let_in_by_certificates_alone() {
    let (files, servers) = (Files::new(), Authority::new("servers"));
    let clients = Authority::new("clients");
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let open = |tls| {
        let options = ServerOptions { tls: Some(tls), http: Some(everywhere), ..options() };
        let shared = Shared::new(Store::memory(Options::new()).unwrap(), options).unwrap();
        let opened = Server::open(Arc::clone(&shared));
        shared.stop();
        opened.map(Server::join).map_err(|error| error.to_string())
    };
    let required = tls(&files, &servers.server(), Some(&clients));
    let optional =
        TlsOptions { client_certificate: ClientCertificate::Optional, ..required.clone() };
    assert_eq!(open(required.clone()), Ok(()));
    let none = TlsOptions { client_ca_file: None, ..required };
    for tls in [optional, none] {
        let refused = open(tls).unwrap_err();
        assert!(refused.contains("tls_client_ca_file"), "{refused}");
    }
}

#[test]
fn a_handshake_that_does_not_go_on_ends_with_its_time() {
    let (files, authority) = (Files::new(), Authority::new("servers"));
    let tls = tls(&files, &authority.server(), None);
    let options = ServerOptions { tls: Some(tls), handshake_timeout_s: 10, ..options() };
    let rig = Rig::new(options);
    let mut silent: Vec<_> = rig.fronts().iter().map(|(address, _)| connected(*address)).collect();
    // Others are served meanwhile.
    let trusted = authority.trusted(None, &[]);
    let answer = talk(secured(rig.resp(), &trusted), &redis_lines(&["PING"])).unwrap();
    assert_eq!(answer, "+PONG\r\n+OK\r\n");
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn certificates_are_read_again_and_kept_if_the_new_ones_are_bad() {
    let (files, old) = (Files::new(), Authority::new("old"));
    let options_of_tls = tls(&files, &old.server(), None);
    let rig = Rig::new(ServerOptions { tls: Some(options_of_tls), ..options() });
    let is_of = |authority: &Authority| {
        let config = authority.trusted(None, &[]);
        talk(secured(rig.resp(), &config), &redis_lines(&["PING"])).is_ok()
    };
    let reload = || rig.shared.tls.as_ref().unwrap().reload();
    let mut stays = secured(rig.resp(), &old.trusted(None, &[]));
    stays.write_all(b"PING\r\n").unwrap();
    let new = Authority::new("new");
    let pair = new.server();
    files.write("server.pem", &pair.cert);
    // The key of the old certificate does not fit.
    assert!(reload().unwrap_err().contains("does not belong to"));
    assert!(is_of(&old));
    files.write("server.key", &pair.key);
    assert_eq!(reload(), Ok(Vec::new()));
    assert!(is_of(&new) && !is_of(&old));
    // A connection that was there goes on.
    assert_eq!(talk(stays, b"QUIT\r\n").unwrap(), "+PONG\r\n+OK\r\n");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_the_remedy() {
    let (files, authority) = (Files::new(), Authority::new("servers"));
    let sound = tls(&files, &authority.server(), Some(&authority));
    let fault = |tls: TlsOptions| {
        let store = Store::memory(Options::new()).unwrap();
        let started = Shared::new(store, ServerOptions { tls: Some(tls), ..options() });
        started.map(drop).unwrap_err().to_string()
    };
    let file = |name: &str, text: &str| files.write(name, text);
    let cert = |path| TlsOptions { cert_file: path, ..sound.clone() };
    let key = |path| TlsOptions { key_file: path, ..sound.clone() };
    let ca = |path| TlsOptions { client_ca_file: Some(path), ..sound.clone() };
    let crl = |path| TlsOptions { client_crl_file: Some(path), ..sound.clone() };
    let other = Authority::new("others").server();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (tls, says) in [
        (cert(files.path().join("none")), "tls_cert_file"),
        (cert(files.path().join("none")), "there is no such file"),
        (cert(file("empty", "")), "holds no certificate in PEM"),
        (
            cert(file("broken", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")),
            "no sound PEM",
        ),
        (key(sound.cert_file.clone()), "holds a certificate and no private key"),
        (key(file("encrypted", encrypted)), "openssl pkey -in"),
        (key(file("words", "hunter2")), "holds no private key in PEM"),
        (key(file("other", &other.key)), "does not belong to the first certificate"),
        (ca(files.path().join("none")), "tls_client_ca_file"),
        (ca(sound.key_file.clone()), "holds no certificate in PEM"),
        (crl(files.path().join("none")), "tls_client_crl_file"),
        (crl(sound.cert_file.clone()), "holds no list in PEM"),
    ] {
        let fault = fault(tls);
        assert!(fault.contains(says) && !fault.contains("hunter2"), "{says}: {fault}");
    }
}

#[test]
fn an_own_certificate_that_is_past_is_told_and_served() {
    let (files, authority) = (Files::new(), Authority::new("servers"));
    let tls = tls(&files, &authority.server_until(2001), None);
    let rig = Rig::new(ServerOptions { tls: Some(tls), ..options() });
    let [notice] = &rig.shared.notices[..] else { panic!("{:?}", rig.shared.notices) };
    assert!(notice.contains("server.pem") && notice.contains("expired"), "{notice}");
    assert!(notice.contains("SIGHUP"), "{notice}");
}
