import { execute } from "#stack/tools";
import { manage, type Management } from "./management.ts";

/**
 * Elects leaders for quorum queues that have none after a restart. This happens to queues that were
 * declared within a second of a kill: their clients hang for 30 s and then lose their connection. The
 * broker loses the messages of such a queue. Older queues lose nothing.
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

// The management API reports such a queue as "running", so this asks the Raft members themselves.
const elections = `
  [begin
     {Name, _} = amqqueue:get_pid(Queue),
     case ra:members({Name, node()}, 500) of
       {ok, _, {_, _}} -> led;
       _ -> ra:trigger_election({Name, node()})
     end
   end || Queue <- rabbit_amqqueue:list(), amqqueue:get_type(Queue) =:= rabbit_quorum_queue].`;
