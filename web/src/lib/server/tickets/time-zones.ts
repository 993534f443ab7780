/** The time zones that a form offers. Intl does not list UTC. */
export const timeZones: readonly string[] = [
  ...new Set([...Intl.supportedValuesOf("timeZone"), "UTC"]),
];
