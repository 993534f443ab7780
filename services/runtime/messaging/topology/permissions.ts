import {
  deadLetterQueue,
  DELAYED_EXCHANGE,
  DELAYED_QUEUE,
  delayedTopology,
  EVENTS_EXCHANGE,
  topologyMarker,
  QUEUES_EXCHANGE,
  topologyOf,
  type Routing,
  type Topology,
} from "./topology.ts";

// The permissions of each service's user at the broker: https://www.rabbitmq.com/docs/access-control.
// RabbitMQ's patterns match anywhere in a name, so each pattern here is anchored at both ends.

/** What the permissions are derived from. */
export interface PermissionSource extends Routing {
  /** The events that every instance receives in an exclusive queue of its own. */
  readonly banEvents: readonly { readonly type: string }[];
  /** The services that use the plugin for delays. */
  readonly delays: readonly string[];
}

interface Patterns {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

/** In the format of RabbitMQ's definitions. */
export interface Permissions {
  readonly permissions: (Patterns & { user: string; vhost: string })[];
  readonly topic_permissions: {
    user: string;
    vhost: string;
    exchange: string;
    write: string;
    read: string;
  }[];
}

const escaped = (name: string): string => name.replaceAll(".", String.raw`\.`);
const anyOf = (...patterns: string[]): string =>
  patterns.length === 0 ? "^$" : `^(${patterns.join("|")})$`;

/**
 * An instance's exclusive queue for bans. The broker generates its name; clients cannot choose such a name
 * for an exchange or another queue. Only the connection that declared the queue can use it.
 */
const GIVEN = String.raw`amq\.gen-.+`;

function patternsOf(service: string, { delays }: PermissionSource): Patterns {
  const waits = delays.includes(service);
  return {
    // No service declares, changes or deletes parts of the topology. The plugin's exchange is the exception:
    // declaring it again shows whether the broker has the plugin.
    configure: anyOf(GIVEN, ...(waits ? [escaped(DELAYED_EXCHANGE)] : [])),
    write: anyOf(
      GIVEN,
      ...[EVENTS_EXCHANGE, QUEUES_EXCHANGE, ...(waits ? [DELAYED_EXCHANGE] : [])].map(escaped),
    ),
    read: anyOf(
      GIVEN,
      ...[
        EVENTS_EXCHANGE,
        service,
        deadLetterQueue(service),
        ...(waits ? [DELAYED_QUEUE] : []),
      ].map(escaped),
    ),
  };
}

/**
 * The routing keys in the exchange for events: the service's own package, and the requests that it may send.
 */
function eventKeys(service: string, { snapshots = [], banEvents }: PermissionSource) {
  const asks = snapshots.filter(({ requestedBy }) => requestedBy.includes(service));
  return {
    write: anyOf(
      String.raw`ticketing\.${escaped(service)}\.v[0-9]+\..+`,
      ...asks.map(({ request }) => escaped(request.typeName)),
    ),
    read: anyOf(...banEvents.map(({ type }) => escaped(type))),
  };
}

const queueKeys = (service: string) => ({
  write: anyOf(String.raw`${escaped(service)}\.(now|dead|wait\..+)`),
  read: anyOf(),
});

/** The permissions of the services' users. Each user has the name of its service. */
export function permissionsOf(vhost: string, rights: PermissionSource): Permissions {
  const users = Object.keys(rights.subscriptions);
  return {
    permissions: users.map((user) => ({ user, vhost, ...patternsOf(user, rights) })),
    // Without topic permissions for an exchange, RabbitMQ allows every routing key.
    topic_permissions: users.flatMap((user) => [
      { user, vhost, exchange: EVENTS_EXCHANGE, ...eventKeys(user, rights) },
      { user, vhost, exchange: QUEUES_EXCHANGE, ...queueKeys(user) },
    ]),
  };
}

/**
 * RabbitMQ's definitions of everything that services need and may not declare themselves: exchanges, queues,
 * bindings and permissions. They do not contain the users.
 */
export function definitionsOf(vhost: string, rights: PermissionSource, hasPlugin = false) {
  const parts: Topology[] = [topologyOf(rights), ...(hasPlugin ? [delayedTopology] : [])];
  const durable = { vhost, durable: true, auto_delete: false };
  return {
    ...permissionsOf(vhost, rights),
    exchanges: [...parts.flatMap(({ exchanges }) => exchanges), topologyMarker(rights)].map(
      (one) => ({
        ...one,
        ...durable,
        internal: false,
      }),
    ),
    queues: parts.flatMap(({ queues }) => queues).map((one) => ({ ...one, ...durable })),
    bindings: parts
      .flatMap(({ bindings }) => bindings)
      .map((one) => ({ ...one, vhost, destination_type: "queue", arguments: {} })),
  };
}
