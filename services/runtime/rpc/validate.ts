import { createValidator, type Violation } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { InvalidFields, type FieldViolation } from "../errors.ts";

const validator = createValidator();

/** The path in the notation of the contract: `price.currency_code`, `items[2]`. */
function path(violation: Violation): string {
  return violation.field
    .map((part) => {
      if (part.kind === "field") return `.${part.name}`;
      if (part.kind === "list_sub") return `[${part.index}]`;
      if (part.kind === "map_sub") return `[${String(part.key)}]`;
      return "";
    })
    .join("")
    .replace(/^\./, "");
}

const toViolation = (violation: Violation): FieldViolation => ({
  field: path(violation),
  description: violation.message,
  reason: violation.ruleId.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_"),
});

/** Refuses a request that violates the rules of its contract, with every wrong field. */
export const validate: Interceptor = (next) => async (req) => {
  if (!req.stream) {
    const result = validator.validate(req.method.input, req.message);
    if (result.kind === "invalid") throw new InvalidFields(result.violations.map(toViolation));
    if (result.kind === "error") throw result.error;
  }
  return next(req);
};
