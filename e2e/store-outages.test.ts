import { storeFaults } from "./faults/part-faults.ts";
import { testOutages } from "./faults/outages.ts";

// The database and Redis are unreachable, slow, full or refuse us, while users keep calling. No valid event is
// dead-lettered or counted as a failed delivery, no user is signed out, every call is answered soon, and
// everything works again soon after the end.

testOutages(storeFaults);
