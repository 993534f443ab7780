/** The names of time zones that a form offers; Intl leaves out the one that is no place. */
export const timeZones: readonly string[] = [
  ...new Set([...Intl.supportedValuesOf("timeZone"), "UTC"]),
];
