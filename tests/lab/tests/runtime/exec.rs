//! Commands run in containers: their streams, their exit codes, and what happens when nobody listens.

use futures::StreamExt;
use jattach_lab::exec::{Session, Streams, Subprotocol};
use jattach_lab::runtime::{Error, ExecSpec};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

use crate::support::{Output, in_lab, output, shell};

fn command(script: &str, stdin: bool) -> ExecSpec {
    ExecSpec { argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(), stdin }
}

#[tokio::test]
async fn output_error_output_and_code_arrive_apart() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        let result = output(&app, &["sh", "-c", "echo out; echo err >&2; exit 3"]).await;
        assert_eq!(result, Output { stdout: "out\n".to_owned(), stderr: "err\n".to_owned(), code: 3 });
        assert_eq!(output(&app, &["sh", "-c", "kill -9 $$"]).await.code, 137);
    })
    .await;
}

#[tokio::test]
async fn bytes_pass_through_untouched_and_the_end_of_stdin_arrives() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        let mut exec = app.exec(&command("cat", true)).await.unwrap();
        let sent: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut stdin = exec.stdin.take().unwrap();
        let expected = sent.clone();
        let writer = tokio::spawn(async move { stdin.write_all(&sent).await });
        let mut received = Vec::new();
        exec.stdout.read_to_end(&mut received).await.unwrap();
        writer.await.unwrap().unwrap();
        assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
        assert_eq!(exec.process.wait().await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_command_without_stdin_reads_end_of_file() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        assert_eq!(output(&app, &["cat"]).await, Output { stdout: String::new(), stderr: String::new(), code: 0 });
    })
    .await;
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        let spec = ExecSpec { argv: vec!["/no/such".to_owned()], stdin: false };
        let error = app.exec(&spec).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"/no/such\": stat /no/such: no such file or directory"
        );
    })
    .await;
}

#[tokio::test]
async fn a_command_outlives_a_client_that_goes_away() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        let script = "echo ready; cat; echo after > /tmp/after; exec sleep 1000000";
        let mut exec = app.exec(&command(script, true)).await.unwrap();
        let mut ready = [0; 6];
        exec.stdout.read_exact(&mut ready).await.unwrap();
        let process = exec.process.clone();
        drop(exec.stdin.take());
        assert_eq!(shell(&app, "until test -s /tmp/after; do :; done; cat /tmp/after").await, "after");
        drop(exec);
        assert!(std::path::Path::new(&format!("/proc/{}", process.pid())).exists());
        app.stop(std::time::Duration::ZERO).await.unwrap();
        assert_eq!(process.wait().await, 137);
    })
    .await;
}

#[tokio::test]
async fn a_command_runs_in_the_containers_directory_and_environment() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({"env": [{"name": "OWN", "value": "a b"}], "workingDir": "/bin"})).await;
        let seen = shell(&app, "pwd; echo $OWN; echo $FROM_IMAGE").await;
        assert_eq!(seen, "/bin\na b\nyes");
        let plain = lab.run_one(json!({})).await;
        assert_eq!(shell(&plain, "pwd").await, "/tmp");
    })
    .await;
}

#[tokio::test]
async fn an_ended_container_takes_no_command() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        app.stop(std::time::Duration::ZERO).await.unwrap();
        let error = app.exec(&command("true", false)).await.unwrap_err();
        assert!(matches!(error, Error::NotRunning { state: "CONTAINER_EXITED", .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_for_a_minute_loses_the_rest_and_the_command_hears_nothing_of_it() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        let (server, client) = tokio::io::duplex(1 << 16);
        let session = Session {
            container: app.clone(),
            spec: command("head -c 10000000 /dev/zero && echo well > /tmp/ended", true),
            streams: Streams { stdin: true, stdout: true, stderr: true },
            subprotocol: Subprotocol::V5,
            drop_status: false,
        };
        // The write that the client does not take is all that waits for the clock, which then need not be waited for.
        tokio::time::pause();
        let (late, hangs) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_secs(60));
            late.send(())
        });
        let socket = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
        tokio::select! {
            () = session.run(socket) => {}
            Ok(()) = hangs => panic!("the command is still blocked"),
        }
        tokio::time::resume();
        assert_eq!(shell(&app, "cat /tmp/ended").await, "well");
        let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        let mut taken = 0;
        while let Some(Ok(Message::Binary(data))) = client.next().await {
            assert_ne!(data[0], 3, "a status: {data:?}");
            taken += data.len();
        }
        assert!((1..10_000_000).contains(&taken), "{taken} bytes");
    })
    .await;
}
