//! A name with several addresses reaches the server that listens on one of them; where none does, each is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

use taut_client::{Client, Error, Options};
use tokio::net::TcpListener;

#[tokio::test]
async fn localhost_is_both_of_its_addresses() {
    for host in ["127.0.0.1", "[::1]"] {
        let Ok(listener) = TcpListener::bind(format!("{host}:0")).await else {
            eprintln!("SKIPPED: this machine has no {host}");
            continue;
        };
        let url = format!("tcp://localhost:{}", listener.local_addr().unwrap().port());
        Client::connect(&url).await.unwrap();
        listener.accept().await.unwrap();
    }
}

#[tokio::test]
async fn where_nobody_listens_each_address_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = Client::connect(&format!("http://localhost:{port}"))
        .await
        .unwrap_err();
    let Error::Unreachable { text, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        text.contains(&format!("127.0.0.1:{port}: connection refused")),
        "{text}"
    );
    assert!(text.contains(&format!("[::1]:{port}: ")), "{text}");
}

#[tokio::test]
async fn a_name_without_an_address_is_said() {
    let error = Client::connect("tcp://nobody.invalid:1").await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Unreachable {
                nobody_listens: false,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("nobody.invalid"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options {
        connect_ms_max: 50,
        ..Options::default()
    };
    let url = format!("http://{}", listener.local_addr().unwrap());
    let error = Client::connect_with(&url, options).await.unwrap_err();
    assert!(error.to_string().contains("50 ms"), "{error}");
}
