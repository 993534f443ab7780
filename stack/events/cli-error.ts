const FAILED = 1;
/** The exit code for wrong arguments, as `grep` and `getopt` have it. */
const USAGE = 2;

/** An error of the command that is shown without its stack. */
export class CliError extends Error {
  readonly exitCode: number = FAILED;
}

/** An error in the arguments of the command. */
export class UsageError extends CliError {
  override readonly exitCode = USAGE;
}
