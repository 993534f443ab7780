import { errorResponses, type ErrorResponse } from "./error-responses.ts";

// CEL expressions by which Envoy chooses among the error responses, and the parts of each.

/** Whether Envoy's local reply is this response. */
export const isThis = ({ status, when }: ErrorResponse): string =>
  [`response.code == ${status}`, ...(when === undefined ? [] : [when])].join(" && ");

const statuses = [...new Set(errorResponses.map(({ status }) => status))];

/** Whether Envoy's local reply is any of the responses. */
export const isOneOf = `response.code in [${statuses.join()}]`;

const literal = (value: string): string => `'${value.replace(/[\\']/g, "\\$&")}'`;

/** Makes a format string from a part of the error responses. */
export type Choice = (valueOf: (response: ErrorResponse) => string) => string;

/** Yields the part of the response that Envoy's local reply is. */
export const byResponse: Choice = (valueOf) => {
  // What is sent verbatim has a mapper of its own.
  const special = errorResponses.filter(({ when, verbatim }) => when !== undefined && !verbatim);
  const ordinary = errorResponses.filter(({ when }) => when === undefined);
  // The status may have been replaced already.
  const condition = (each: ErrorResponse) => (each.sent === undefined ? isThis(each) : each.when);
  const choices = [...special, ...ordinary].map(
    (each) => `${condition(each)} ? ${literal(valueOf(each))} : `,
  );
  return `%CEL(${choices.join("")}'')%`;
};

/** Yields the part of this response. */
export const always =
  (response: ErrorResponse): Choice =>
  (valueOf) =>
    valueOf(response).replaceAll("%", "%%");
