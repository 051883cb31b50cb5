//! The table of the client's options.

use reactor_chat::usage::{Command, Group, Opt, Program, choice, file, flag, value};

/// The client and its options.
pub(super) const CLIENT: Program = Program {
    name: "reactor-chat-client",
    manual: 1,
    purpose: "chat in rooms of a reactor-chat server",
    introduction: "\
Creates or joins a chat room: sends lines from stdin to the room, and prints its messages and notices on \
stdout, one a line. Or lists the rooms.",
    commands: &[
        Command { name: "create", arguments: "ROOM [NAME]", text: "create a room" },
        Command { name: "join", arguments: "ROOM [NAME]", text: "join a room" },
        Command { name: "list", arguments: "", text: "list the rooms" },
    ],
    groups: &[
        Group { title: "Server and name", options: SERVER },
        Group { title: "Encryption", options: ENCRYPTION },
        Group { title: "Chatting", options: CHATTING },
        Group { title: "Listing", options: LISTING },
    ],
    hidden: &[],
    column: 23,
    remarks: "\
The client leaves the room when you type /exit, /quit or /leave, at the end of its input, on SIGINT, SIGTERM or \
SIGHUP, and when the reader of its output ends. It ends when the room is closed.
All traffic over a network is encrypted. The client accepts a server if the system trusts its certificate, if it is at a \
loopback address, or if you accepted its key before; otherwise it asks on a terminal, and refuses in a pipe.
/help asks the server for its commands, and lists the keys on a terminal. With stream delivery the client goes \
on after a network failure and joins again after a restart of the server, and a pipe or a file gets the whole \
record of the room, including its own messages.",
    variables: &[
        ("REACTOR_CHAT_PASSWORD", "the room's password, if there is no --password"),
        ("REACTOR_CHAT_FINGERPRINT", "the fingerprint of the server, if there is no --fingerprint"),
        ("NO_COLOR", "if it is set and not empty, there are no colours"),
        ("XDG_STATE_HOME", "the directory above that of the accepted keys"),
    ],
    files: &[(
        "~/.local/state/reactor-chat/known_hosts",
        "the keys of servers that you have accepted, if XDG_STATE_HOME names no other directory",
    )],
    statuses: &[
        ("0", "after leaving or when the room is closed, if the server accepted every line"),
        (
            "1",
            "if the server did not accept every line (stderr has the number of the others), if it refuses \
             the request, or if it is unreachable or gone",
        ),
        ("2", "if the command line is wrong"),
        ("101", "after a fault of the program"),
        ("128 plus its number", "after a second signal"),
    ],
    examples: &[
        ("Create a room on a server of this machine", "reactor-chat-client create lobby alice"),
        (
            "Join a room of another machine",
            "reactor-chat-client --host chat.example.org join lobby bob",
        ),
        (
            "Join a room of a server with a Unix socket",
            "reactor-chat-client --host unix:/run/chat.sock join lobby bob",
        ),
        (
            "Wait for a line that somebody says from now on",
            "reactor-chat-client --listen join lobby < /dev/null | grep -m 1 hi",
        ),
    ],
    see_also: &[("reactor-chat", 8)],
};

const SERVER: &[Opt] = &[
    value(
        "host",
        "HOST[:PORT]",
        "the server's name or address, IPv6 with a port as [ADDR]:PORT; UDP uses the next port; or its Unix \
         socket on this machine, as unix:PATH or unix:@NAME",
    )
    .default("127.0.0.1"),
    value("tcp-port", "PORT", "the server's TCP port, for requests").default("9001"),
    value("udp-port", "PORT", "the server's UDP port, for messages").default("9002"),
    value("name", "NAME", "your name in the room").default("the login name"),
    value(
        "password",
        "PW",
        "the room's password; other users of this machine may see it in the list of processes. The \
         environment variable REACTOR_CHAT_PASSWORD is safer; on a terminal the client asks if the room \
         needs a password",
    ),
];

const ENCRYPTION: &[Opt] = &[
    value(
        "fingerprint",
        "FP",
        "accept this key of the server alone, by the fingerprint that the server prints when it starts; the \
         environment variable REACTOR_CHAT_FINGERPRINT does the same",
    ),
    flag("insecure", "accept any key, so that an attacker may read along"),
    flag("plain", "no encryption, for servers that have none"),
];

const CHATTING: &[Opt] = &[
    value("capacity", "N", "create: the most members that the room may have"),
    flag("hidden", "create: lists leave the room out, and without its password it seems not to exist"),
    flag("sealed-only", "create: only members whose traffic is encrypted enter"),
    value(
        "history",
        "N",
        "join: show this many earlier entries; create: let newcomers see this many; 0 to 1024",
    )
    .default("20"),
    choice(
        "delivery",
        &["text", "named", "stream"],
        "stream: the same order for all, and lost entries are sent again; named, text: at most once",
    )
    .default("stream"),
    flag(
        "carry",
        "messages travel over TCP, for networks that block UDP; with stream delivery the client notices that \
         itself",
    ),
    flag(
        "commands",
        "lines from a pipe or a file that begin with / are commands; without it they are messages",
    ),
    flag("listen", "stay after the end of the input, until a signal; on a terminal read nothing"),
    file("log", "FILE", "append the conversation to FILE, with date and time"),
    flag("no-color", "no colours; so does NO_COLOR in the environment"),
    flag("no-bell", "a mention of your name rings no bell"),
];

const LISTING: &[Opt] = &[flag("json", "print the list as JSON on one line, for programs")];
