/** The number of cases that are tried: all of them in `npm run prove`, a third in `npm test`. */
export const cases = (all: number): number =>
  process.env["THOROUGH"] === "1" ? all : Math.ceil(all / 3);
