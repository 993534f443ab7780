import { execute } from "#stack/tools";
import { manage, type Management } from "./management.ts";

/**
 * A quorum queue that was declared within a second of a kill comes back without a leader:
 * all who use it hang for 30 s and then lose their connection. An election mends it. (What was
 * in such a queue is gone. It is the broker's own limit; older queues lose nothing.)
 */
export async function electMissingLeaders(
  management: Management,
  sbin: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const queues = (await manage(management, "GET", "queues?disable_stats=true")) as {
    type: string;
  }[];
  if (!queues.some(({ type }) => type === "quorum")) return;
  await execute("./rabbitmqctl", ["eval", elections], { env, cwd: sbin, timeoutMs: 120_000 });
}

// The management API calls such a queue "running", so only the queues' own machinery can tell.
const elections = `
  [begin
     {Name, _} = amqqueue:get_pid(Queue),
     case ra:members({Name, node()}, 500) of
       {ok, _, {_, _}} -> led;
       _ -> ra:trigger_election({Name, node()})
     end
   end || Queue <- rabbit_amqqueue:list(), amqqueue:get_type(Queue) =:= rabbit_quorum_queue].`;
