import type { SeededRandom } from "../testing/seeded-random.ts";

const addresses = [
  ...["<a@example.com>", "<>", "<", "a", "<@>", "<a@[::1]>", "<a@\u00ff>", "<__proto__@a>", ""],
  ...["<a@b> SIZE=-1", "<a@b> SIZE=99999999999999", "<a@b> BODY=9 SMTPUTF8 X=\u00ff", "<%zz@%>"],
];

const messages = [
  "Subject: a\r\n\r\nb",
  "",
  "\r\n\r\n\r\n",
  "Subject: =?utf-99?Q?=ZZ?= =?x?B?====?=\r\n\r\n\u00ff\u0000",
  "Content-Type: text/plain; charset=none-such\r\n\r\n\u00ff\u00fe",
  "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/x; boundary=a\r\n\r\n--a",
  'Content-Type: multipart/mixed; boundary="\r\n\r\n--\r\n----',
  "Content-Transfer-Encoding: base64\r\n\r\n====\u00ff=",
  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ=\r\n=",
  "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n:",
  "Content-Type: text/html\r\n\r\n<a href=x><![CDATA[<<table></td><a href='javascript:",
  'Content-Type: text/calendar; name*0*=%zz; name*1="\r\nDate: never\r\nTo: ,,<>;:\r\n\r\n',
  `${"X-A: b\r\n".repeat(2_000)}\r\nx`,
  `${"x".repeat(50_000)}\r\n\r\nx`,
  "From: __proto__: constructor\r\n__proto__: x\r\nReferences: <\r\n\r\n..\r\n.x",
];

const commands = [
  ...[
    "NOOP",
    "RSET",
    "VRFY a",
    "HELP",
    "STARTTLS",
    "AUTH PLAIN",
    "AUTH PLAIN \u00ff",
    "AUTH",
    "BDAT 9",
  ],
  ...[
    "DATA",
    "QUIT",
    "EXPN",
    "",
    " ",
    "\u0000\u00ff",
    "x".repeat(9_000),
    "MAIL",
    "RCPT TO",
    "HELO",
  ],
  ...[
    "EHLO [::1",
    "XCLIENT ADDR=[::1 NAME=%zz",
    "XFORWARD ADDR=x",
    "GET / HTTP/1.1",
    "TURN",
    "__proto__",
  ],
];

const ends = ["\r\n.\r\n", "\r\n.\r\n", "\n.\n", "\r\n", ""];

/** An SMTP session that violates the protocol, in pieces. */
export function malformedSmtp(random: SeededRandom): Buffer[] {
  const usual = (line: string): string => (random.oneIn(15) ? random.pick(commands) : line);
  const lines = [
    usual("EHLO a"),
    ...random.someOf(commands, 1),
    usual(`MAIL FROM:${random.oneIn(6) ? random.pick(addresses) : "<a@example.com>"}`),
    usual(`RCPT TO:${random.oneIn(6) ? random.pick(addresses) : "<raw@example.com>"}`),
    usual("DATA"),
    random.pick(messages) + random.pick(ends),
    ...random.someOf(commands, 2),
  ];
  const bytes = Buffer.from(lines.join(random.oneIn(8) ? "\n" : "\r\n") + "\r\n", "latin1");
  if (random.oneIn(12)) return [random.bytes(300)];
  const cut = random.below(bytes.length + 1);
  if (random.oneIn(4)) return [bytes.subarray(0, cut)]; // The client disconnects in the middle.
  return random.oneIn(2) ? [bytes.subarray(0, cut), bytes.subarray(cut)] : [bytes];
}
