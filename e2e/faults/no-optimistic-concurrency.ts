import { setTimeout as passing } from "node:timers/promises";
import mongoose from "mongoose";

// A test loads this into services before their own code. Every save of a document then ignores the
// version that was loaded, overwrites concurrent changes, and is slow, as on a busy day. The test shows
// that the guarantees about money depend on optimistic concurrency, and that the checker detects its
// absence.

const MAX_SAVE_DELAY_MS = 150;

mongoose.plugin((schema) => {
  schema.pre("save", async function () {
    this.$where = {};
    await passing(Math.random() * MAX_SAVE_DELAY_MS);
  });
});
