/** Sends a signal to one process. A process that has just ended is not an error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Sends a signal to every process of the group whose leader is `pid`. */
export const signalGroup = (pid: number, signal: NodeJS.Signals): void =>
  signalProcess(-pid, signal);
