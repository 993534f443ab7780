import { readdirSync } from "node:fs";
import { join, posix } from "node:path";
import svelte from "eslint-plugin-svelte";
import tseslint from "typescript-eslint";

// The import rules are the rooms of CONTRIBUTING.md: what a room may not know, it cannot import. ESLint
// takes the last rule of a name that is about a file, so each block below has all that holds for its
// files; stack/checks/lint.test.ts tries every one of them. A pattern is one of .gitignore: its # is
// escaped.

/** Refuses imports that match, with the reason. */
const forbid = (...rules) => ({
  "no-restricted-imports": [
    "error",
    { patterns: rules.map(([group, message]) => ({ group: [group].flat(), message })) },
  ],
});

const foldersIn = (folder) =>
  readdirSync(join(import.meta.dirname, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

/** What lies outside of a service, seen from this many folders below `services`. */
const outside = (depth) => [
  [`${"../".repeat(depth)}**`, "**/services/**", "**/web/**", "**/stack/**", "**/e2e/**"],
  "Outside of its own folder a service imports by name (#runtime/…, #marketplace/…, @ticketing/proto/…).",
];
const noWire = [
  ["@connectrpc/*", "amqplib", "**/rpc.ts", "**/events.ts"],
  "Rules know nothing of the wire: rpc.ts and events.ts decode, call the rule and encode.",
];
const noBroker = ["amqplib", "Calls record events beside the change; the relay publishes them."];
const areas = foldersIn("proto/ticketing").filter((area) => !["money", "options"].includes(area));
const noBusiness = [
  ["\\#marketplace/*", ...areas.map((area) => `@ticketing/proto/${area}/**`)],
  "The runtime knows nothing of the business.",
];
const noStack = ["\\#stack/*", "Services run anywhere; only their tests know the local parts."];

const contractsOnly = [
  [
    "mongoose",
    "amqplib",
    "\\#runtime/*",
    "\\#marketplace/*",
    "\\#stack/*",
    "**/services/**",
    "**/stack/**",
  ],
  "The storefront knows the contracts alone.",
];
const noTransport = [
  ["@connectrpc/connect-web", "@connectrpc/connect-node"],
  "Pages call through #lib; only it knows the backend.",
];
const asClients = [
  [
    "\\#runtime/*",
    "!\\#runtime/messaging",
    "\\#runtime/messaging/*",
    "!\\#runtime/messaging/topology",
    "**/services/**",
    "**/web/**",
  ],
  "These tests know what a client knows, and what stands at the broker.",
];
const noInsides = [
  ["**/services/**", "**/web/**", "**/e2e/**"],
  "What starts the parts knows the services by #runtime/… and #marketplace/… alone.",
];

const ownRoom = (up) => [
  [`${up}[a-z]*/**`, "\\#stack/*/**"],
  "A room of stack is entered by its name alone (#stack/process): its index.ts says what it offers.",
];

const testing = ["**/*.test.ts", "**/testing*.ts"];
const entryPoints = [
  "**/main.ts",
  "**/*-command.ts",
  "**/command.ts",
  "**/administrator.ts",
  "**/config.ts",
  ...testing,
];

/**
 * The rooms of each service, from top to bottom: a room imports from those below it and from the files
 * of its service that stand in no room.
 */
const rooms = {
  runtime: [
    "testing",
    "lifecycle",
    "rpc",
    "rpc/unary",
    "identity",
    "messaging/snapshots",
    "messaging/delay",
    "messaging",
    "messaging/broker",
    "messaging/topology",
    "store",
    "values",
  ],
  tickets: ["listings", "codes"],
  auth: ["accounts", "sign-in", "mail", "bans", "sessions", "keys"],
  payments: [
    "testing",
    "operations",
    "checkout",
    "settlement",
    "payouts",
    "balances",
    "refunds",
    "stripe",
  ],
};

/** Every folder with code of services: how deep it lies, and which rooms stand above it. */
const folders = foldersIn("services").flatMap((service) => [
  { service, path: `services/${service}`, depth: 1, above: [] },
  ...(rooms[service] ?? []).map((name, i, names) => ({
    service,
    path: `services/${service}/${name}`,
    depth: 1 + name.split("/").length,
    above: names.slice(0, i),
  })),
]);

/** Matches the files of a room, by the way to it: of an outer room its own files, not its inner rooms. */
const filesOf = (way) => {
  if (way === "..") return "../*.ts";
  return way.startsWith(".") ? `${way}/*` : `./${way}/*`;
};

/** What each kind of file in a folder may import; ESLint takes the last block that is about a file. */
function importRules({ service, path, depth, above }) {
  if (path.endsWith("/testing"))
    return [{ files: [`${path}/*.ts`], rules: forbid(outside(depth)) }];
  const arrows = above.map((room) => [
    [filesOf(posix.relative(path, `services/${service}/${room}`))],
    `Imports run one way: ${room} stands above this room.`,
  ]);
  const all = [outside(depth), noStack, ...arrows];
  const rule = service === "runtime" ? noBusiness : noWire;
  const methods = `${path}/*rpc.ts`;
  const events = `${path}/events.ts`;
  const errors = `${path}/errors.ts`;
  return [
    { files: [`${path}/*.ts`], ignores: entryPoints, rules: forbid(...all, rule) },
    { files: [methods, events, errors], rules: forbid(...all, noBroker) },
    { files: entryPoints.map((name) => name.replace("**", path)), rules: forbid(...all) },
    {
      files: testing.map((name) => name.replace(/^.*\*\*(?=\/)/, path)),
      rules: forbid(outside(depth)),
    },
  ];
}

/**
 * Names that this code had before it took the field's words. Each has one word instead, in the glossary
 * of CONTRIBUTING.md, so they do not come back.
 */
const refusedNames = [
  "blame", // decode error
  "bury", // anonymize
  "enrol", // register
  "giveUp", // cancelIntent, failRefund
  "isOut", // isBanned
  "keepHold", // applyHold
  "ladder", // delay queues
  "lanes", // keyed queue
  "letGo", // cancelIntent
  "moneyBack", // refund
  "nudge", // timer event
  "openCode", // revealCode
  "patience", // retry policy
  "rungs", // delay tiers
  "sealCode", // lockCode
  "slip", // soft decline
  "standing", // ban replica
  "standings",
  "Trouble", // CliError
  "visitor", // request session
  "wish", // refund request
  "world", // fixture
];

export default tseslint.config(
  {
    ignores: [
      "**/node_modules",
      "**/build",
      "**/.svelte-kit",
      "proto/gen*",
      "third_party",
      ".tools",
      ".stack",
    ],
  },
  ...tseslint.configs.strict,
  ...svelte.configs.recommended,
  {
    languageOptions: { globals: { process: "readonly", console: "readonly" } },
    rules: {
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_" },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-invalid-void-type": "off",
      eqeqeq: "error",
      "id-denylist": ["error", ...refusedNames],
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["**/*.ts"],
    ignores: [...testing, "**/testing/*.ts", "e2e/**"],
    rules: {
      "max-lines": ["error", 250],
      "max-lines-per-function": ["error", 60],
    },
  },
  {
    files: ["services/**/*.ts"],
    ignores: [...entryPoints, "services/*/testing/*.ts"],
    rules: {
      "no-console": "error",
      "no-restricted-syntax": [
        "error",
        {
          selector: "MemberExpression[object.name='process'][property.name='env']",
          message: "The environment is read once, in main.ts, by config.ts.",
        },
      ],
    },
  },
  { files: ["services/**/*.ts"], rules: forbid(outside(1), noStack) },
  { files: ["services/*.test.ts"], rules: forbid(outside(1)) },
  ...folders.flatMap(importRules),
  {
    files: ["web/**/*.{ts,svelte}"],
    languageOptions: { parserOptions: { parser: tseslint.parser } },
    rules: {
      // The shop stands at the root of its origin, so a path needs no resolving.
      "svelte/no-navigation-without-resolve": "off",
      // A message field of the contract is optional in its type, also where it is always set.
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  { files: ["web/src/**/*.{ts,svelte}"], rules: forbid(contractsOnly) },
  { files: ["web/src/routes/**"], rules: forbid(contractsOnly, noTransport) },
  { files: ["e2e/**/*.ts"], rules: forbid(asClients) },
  { files: ["envoy/**/*.ts", "k8s/**/*.ts"], rules: forbid(noInsides) },
  { files: ["stack/*/*.ts"], rules: forbid(noInsides, ownRoom("../")) },
  { files: ["stack/*/*/*.ts"], rules: forbid(noInsides, ownRoom("../../")) },
  {
    files: [...testing, "services/*/testing/*.ts", "envoy/testing/*.ts", "e2e/**", "stack/**"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-dynamic-delete": "off",
    },
  },
);
