/** While a daemon is replaced a person types some bytes and may paste a file. A paste that were cut would leave the program waiting for its end. */
const LIMIT_BYTES = 1 << 20;

/**
 * What was typed and no daemon has taken, for the next one. Over the limit it takes nothing more, so that what is delivered has an end that
 * is missing, and no hole.
 */
export class KeptInput {
  /** Given to a daemon that has not said yet that it has read it. */
  readonly #sent = new Set<Uint8Array>();
  #typed: Uint8Array[] = [];
  #bytes = 0;
  #isFull = false;

  /** Given to the daemon just now. The function is to be called when it has read it. */
  sent(bytes: Uint8Array): () => void {
    this.#sent.add(bytes);
    return () => void this.#sent.delete(bytes);
  }

  /** Typed while nobody is there. False when it is not kept. */
  keep(bytes: Uint8Array): boolean {
    this.#isFull ||= this.#bytes + bytes.length > LIMIT_BYTES;
    if (this.#isFull) return false;
    this.#bytes += bytes.length;
    this.#typed.push(bytes);
    return true;
  }

  /** All that the next daemon is to have, in the order of the keys. Nothing is kept any more. */
  take(): Uint8Array[] {
    const all = [...this.#sent, ...this.#typed];
    this.#sent.clear();
    this.#typed = [];
    this.#bytes = 0;
    this.#isFull = false;
    return all;
  }
}
