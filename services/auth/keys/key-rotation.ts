import type { StagedKey } from "./key-stage.ts";
import type { KeyStore } from "./key-store.ts";
import type { KeyFields } from "./key.ts";
import { generatePrivateKey, type PrivateKey } from "./private-key.ts";

/**
 * How long a new key is published before it signs: more than twice as long as the edge or a service takes
 * to fetch the keys again, a fetch that hangs included.
 */
const PUBLICATION_LEAD_MS = 120_000;

interface Options {
  store: KeyStore;
  /** The keys to start with, where there are none yet. */
  imported?: readonly PrivateKey[] | undefined;
}

const isWaiting = ({ withdrawTime, signsFrom }: KeyFields): boolean => !withdrawTime && !signsFrom;
const canSign = ({ withdrawTime, signsFrom, sealed }: KeyFields): boolean =>
  Boolean(signsFrom && !withdrawTime && sealed);

/** The keys of the first start: the imported ones, or a new one. The first of them signs. */
async function initialKeys({ store, imported }: Options): Promise<KeyFields[]> {
  const privateKeys = imported ?? [await generatePrivateKey()];
  const start = new Date(store.now());
  return privateKeys.map((key, i) => store.encrypt(key, i + 1, i === 0 ? start : undefined));
}

/**
 * The life of the signing keys: one signs, the next one is published already, and older ones verify while
 * their tokens are valid.
 */
export function keyRotation(options: Options) {
  const { store } = options;

  /** Adds what is missing: a key that signs, and the next one. */
  async function ensureKeys(): Promise<void> {
    for (;;) {
      const keys = await store.all();
      const next = keys.find(isWaiting);
      if (next && keys.some(canSign)) return;
      if (keys.length === 0) await store.add(await initialKeys(options));
      else if (next) await store.promote(next, store.now());
      else {
        const sequence = (keys.at(-1)?.sequence ?? 0) + 1;
        await store.add([store.encrypt(await generatePrivateKey(), sequence)]);
      }
    }
  }

  /** Promotes the next key once every verifier has it. False where another instance was faster. */
  async function rotate(seen?: readonly KeyFields[]): Promise<boolean> {
    await ensureKeys();
    const next = (seen ?? (await store.all())).find(isWaiting);
    const published = (next?.createTime.getTime() ?? 0) + PUBLICATION_LEAD_MS;
    const done =
      next !== undefined && (await store.promote(next, Math.max(store.now(), published)));
    await ensureKeys();
    return done;
  }

  /**
   * Withdraws a key with all its tokens immediately. The next key takes over where it was signing. False
   * for an unknown key.
   */
  async function withdraw(kid: string): Promise<boolean> {
    const listed = store.stages(await store.all());
    const found = listed.find(({ key }) => key._id === kid);
    if (!found) return false;
    const isSuccessor = ({ key, stage }: StagedKey) => stage === "next" && key._id !== kid;
    const successor = listed.find(isSuccessor)?.key;
    if (found.stage === "signs" && successor) await store.promoteNow(successor);
    await store.withdraw(kid);
    await ensureKeys();
    return true;
  }

  /** Rotates when the signing key is older than `maxAgeMs`, and deletes private parts of retired keys. */
  async function maintain(maxAgeMs: number): Promise<void> {
    const keys = await store.all();
    const newest = Math.max(...keys.map(({ signsFrom }) => signsFrom?.getTime() ?? 0));
    // From the keys that were read: with fresh ones a second instance would rotate once more.
    if (newest + maxAgeMs <= store.now()) await rotate(keys);
    const retired = store.stages(keys).filter(({ stage }) => stage === "retired");
    await store.deletePrivateParts(retired.map(({ key }) => key._id));
  }

  return { ensureKeys, rotate: () => rotate(), withdraw, maintain };
}
export type KeyRotation = ReturnType<typeof keyRotation>;
