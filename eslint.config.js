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

const outside = [
  ["../**", "**/services/**", "**/web/**", "**/stack/**", "**/e2e/**"],
  "A room is entered by its name (#runtime/…, #catalogue, #stack/…, @ticketing/proto/…).",
];
const noWire = [
  ["@connectrpc/*", "amqplib", "./rpc.ts", "./events.ts"],
  "Rules know nothing of the wire: rpc.ts and events.ts decode, call the rule and encode.",
];
const noBroker = ["amqplib", "Calls record events beside the change; the relay publishes them."];
const noBusiness = [
  [
    "\\#catalogue",
    "@ticketing/proto/auth/*",
    "@ticketing/proto/tickets/**",
    "@ticketing/proto/orders/**",
    "@ticketing/proto/payments/**",
    "@ticketing/proto/expiration/**",
  ],
  "The runtime knows nothing of the business.",
];
const noStack = ["\\#stack/*", "Services run anywhere; only their tests know the local parts."];

const contractsOnly = [
  [
    "mongoose",
    "amqplib",
    "\\#runtime/*",
    "\\#catalogue",
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
  ["\\#runtime/*", "!#runtime/envelope.ts", "!#runtime/topology.ts", "**/services/**", "**/web/**"],
  "These tests know what a client knows, and what stands at the broker.",
];
const noInsides = [
  ["**/services/**", "**/web/**", "**/e2e/**"],
  "What starts the parts knows the services by #runtime/… and #catalogue alone.",
];

const ownRoom = (up) => [
  [`${up}[a-z]*/**`, "\\#stack/*/**"],
  "A room of stack is entered by its name alone (#stack/process): its index.ts says what it offers.",
];

const entryPoints = [
  "**/main.ts",
  "**/*-command.ts",
  "**/command.ts",
  "**/administrator.ts",
  "**/config.ts",
  "**/testing*.ts",
  "**/*.test.ts",
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
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["services/**/*.ts"],
    ignores: entryPoints,
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
  { files: ["services/**/*.ts"], rules: forbid(outside, noStack) },
  { files: ["services/**/{testing*,*.test}.ts"], rules: forbid(outside) },
  {
    files: ["services/runtime/*.ts"],
    ignores: entryPoints,
    rules: forbid(outside, noStack, noBusiness),
  },
  {
    files: ["services/{auth,tickets,orders,payments}/*.ts"],
    ignores: [...entryPoints, "**/*rpc.ts", "**/events.ts"],
    rules: forbid(outside, noStack, noWire),
  },
  { files: ["services/*/*rpc.ts"], rules: forbid(outside, noStack, noBroker) },
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
    files: ["**/*.test.ts", "**/testing*.ts", "e2e/**", "stack/**"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-dynamic-delete": "off",
    },
  },
);
