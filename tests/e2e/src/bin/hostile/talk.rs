//! The injector's side of a conversation, without any of its manners. It ends with its client.

use std::io::{self, Read, Write};
use std::process;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::frame::{Decoder, Encoder, HEADER};
use jattach_protocol::message::{Hello, Operation, VERSION};

/// A request, and the id that answers carry.
pub(crate) struct Asked {
    pub(crate) id: u32,
    pub(crate) operation: Operation,
}

pub(crate) struct Talk {
    encoder: Encoder,
    asked: Receiver<Asked>,
}

impl Talk {
    /// Listens to the client from now on, and has said nothing yet.
    pub(crate) fn begin() -> Talk {
        let (sender, asked) = channel();
        thread::spawn(move || {
            listen(|request| drop(sender.send(request)));
            process::exit(0);
        });
        Talk { encoder: Encoder::new(), asked }
    }

    pub(crate) fn hello(&mut self) {
        self.hello_in(VERSION);
    }

    pub(crate) fn hello_in(&mut self, version: u16) {
        let software = "injector".to_owned();
        self.say(0, &Message::Hello(Hello { version, software, capabilities: 0 }));
    }

    /// The next request.
    pub(crate) fn asked(&mut self) -> Asked {
        match self.asked.recv() {
            Ok(asked) => asked,
            // The listener has gone, and takes the process with it.
            Err(_) => gone(),
        }
    }

    pub(crate) fn say(&mut self, request: u32, message: &Message<'_>) {
        self.seal(message.kind(), request, message.stream(), message.to_frame());
    }

    /// A frame that is right, with any payload.
    pub(crate) fn say_raw(&mut self, kind: u8, request: u32, payload: &[u8]) {
        self.seal(kind, request, 0, [&[0; HEADER], payload].concat());
    }

    fn seal(&mut self, kind: u8, request: u32, stream: u32, mut frame: Vec<u8>) {
        self.encoder.seal(kind, request, stream, &mut frame).expect("a frame of that length");
        Self::write(&frame);
    }

    /// Bytes that need not be a frame.
    pub(crate) fn write(bytes: &[u8]) {
        let mut stdout = io::stdout().lock();
        if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
            gone();
        }
    }

    /// Says nothing until the client has gone.
    pub(crate) fn stay(&self) -> ! {
        loop {
            thread::park();
        }
    }

    /// Says nothing but that it is there.
    pub(crate) fn stay_alive(&mut self) -> ! {
        loop {
            self.say(0, &Message::Heartbeat);
            thread::sleep(Duration::from_secs(1));
        }
    }
}

fn gone() -> ! {
    process::exit(0)
}

/// Reads what the client says to its bye or its end, and hands requests over.
fn listen(mut hand_over: impl FnMut(Asked)) {
    let (mut stdin, mut decoder) = (io::stdin().lock(), Decoder::new());
    loop {
        while let Ok(Some(frame)) = decoder.next() {
            match Message::read(&frame) {
                Ok(Message::Request(request)) => hand_over(Asked { id: frame.request, operation: request.operation }),
                Ok(Message::Bye) => return,
                _ => {}
            }
        }
        match stdin.read(decoder.space()) {
            Ok(count @ 1..) => decoder.filled(count),
            _ => return,
        }
    }
}
