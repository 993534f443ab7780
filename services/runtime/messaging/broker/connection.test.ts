import { expect, it } from "vitest";
import { testVhost } from "../../testing/broker.ts";
import { silentLog } from "../../testing/log.ts";
import { testProxy } from "../../testing/proxy.ts";
import { openConnection } from "./connection.ts";

it("a connection that is lost while it is being set up is opened again, and is no uncaught error", async () => {
  const url = new URL(await testVhost());
  const line = await testProxy(Number(url.port));
  url.port = String(line.port);
  let attempts = 0;
  const connection = await openConnection({
    url: url.href,
    name: "shaky",
    log: silentLog,
    onChange: () => undefined,
    async prepare(model) {
      attempts += 1;
      if (attempts > 1) return;
      line.cut();
      await new Promise((resolve) => model.once("close", resolve)).finally(() => line.mend());
      throw new Error("lost");
    },
  });
  expect([attempts, connection.model !== undefined]).toEqual([2, true]);
  await connection.close();
});
