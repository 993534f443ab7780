import { errorResponses, type ErrorResponse } from "./error-responses.ts";

// CEL expressions by which Envoy chooses among the error responses, and the parts of each.

/** Whether Envoy's local reply is this response. */
export const isThis = ({ status, when }: ErrorResponse): string =>
  [`response.code == ${status}`, ...(when === undefined ? [] : [when])].join(" && ");

const statuses = [...new Set(errorResponses.map(({ status }) => status))];

/** Whether Envoy's local reply is any of the responses. */
export const isOneOf = `response.code in [${statuses.join()}]`;

const literal = (value: string): string => `'${value.replace(/[\\']/g, "\\$&")}'`;

/** A format string that yields one value for each response. */
export function byResponse(valueOf: (response: ErrorResponse) => string): string {
  // What is sent verbatim has a mapper of its own.
  const special = errorResponses.filter(({ when, verbatim }) => when !== undefined && !verbatim);
  // The status may have been replaced already.
  const condition = (each: ErrorResponse) => (each.sent === undefined ? isThis(each) : each.when);
  const choices = special
    .map((each) => `${condition(each)} ? ${literal(valueOf(each))} : `)
    .join("");
  const values = errorResponses
    .filter(({ when }) => when === undefined)
    .map((each) => `${each.status}: ${literal(valueOf(each))}`);
  return `%CEL(${choices}{${values.join()}}[response.code])%`;
}

/** The message of each response. */
export const message = byResponse((response) => response.message);
