import { setTimeout as passing } from "node:timers/promises";
import mongoose from "mongoose";

// Loaded into services by a test, before their own code: every save of a document forgets what
// version it was loaded in, and writes over whatever came in between; and it takes its time, as on a
// busy day. It shows that the compare-and-set is what the money hangs on, and that the test would see
// it missing.

const BUSY_MS = 150;

mongoose.plugin((schema) => {
  schema.pre("save", async function () {
    this.$where = {};
    await passing(Math.random() * BUSY_MS);
  });
});
