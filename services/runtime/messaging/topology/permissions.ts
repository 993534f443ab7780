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

// What each service's user may do at the broker: https://www.rabbitmq.com/docs/access-control. The
// patterns of RabbitMQ match anywhere in a name, so each one here says where it begins and ends.

/** From what permissions follow. */
export interface PermissionSource extends Routing {
  /** What every instance hears by itself, in a queue that it declares. */
  readonly banEvents: readonly { readonly type: string }[];
  /** The services that use the plugin for delays. */
  readonly delays: readonly string[];
}

interface Patterns {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

/** In the words of the broker's definitions. */
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
 * An instance's own queue for bans. The broker gives it its name, which no client can choose for an
 * exchange or for another queue; and nobody but the connection that declared it can use it.
 */
const GIVEN = String.raw`amq\.gen-.+`;

function patternsOf(service: string, { delays }: PermissionSource): Patterns {
  const waits = delays.includes(service);
  return {
    // Nobody declares, changes or deletes what the topology holds. The plugin's exchange is declared
    // once more, to find out whether the plugin is there.
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

/** The keys in the exchange of events: its own package, and the requests that it may send. */
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

/** What the services' users may do: each has the name of its service. */
export function permissionsOf(vhost: string, rights: PermissionSource): Permissions {
  const users = Object.keys(rights.subscriptions);
  return {
    permissions: users.map((user) => ({ user, vhost, ...patternsOf(user, rights) })),
    // Without a word on a topic exchange, RabbitMQ allows every key there.
    topic_permissions: users.flatMap((user) => [
      { user, vhost, exchange: EVENTS_EXCHANGE, ...eventKeys(user, rights) },
      { user, vhost, exchange: QUEUES_EXCHANGE, ...queueKeys(user) },
    ]),
  };
}

/**
 * RabbitMQ's definitions of everything that services need at a broker and may not make themselves: the
 * exchanges, queues and bindings, and what each user may do. The users themselves are not in it.
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
