import { messagingFaults } from "./faults/part-faults.ts";
import { testOutages } from "./faults/outages.ts";

// Users keep calling while the broker or the mail server is unreachable, slow or full, or rejects the
// services. No valid event is dead-lettered or counted as a failed delivery, no user is signed out, every
// call gets a response soon, and everything works again soon after the end.

testOutages(messagingFaults);
