/** The fields of every object. */
export interface Base<Name extends string> {
  readonly object: Name;
  readonly id: string;
  readonly created: number;
}

/** The metadata of any object. */
export type Metadata = Readonly<Record<string, string>>;
