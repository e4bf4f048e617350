import { Engine } from './engine.ts';
import { Modes } from './modes.ts';
import { answerQueries } from './queries.ts';
import { clearTheWay, type Onto, serialize } from './serialize.ts';
import { incompleteCharacter, NextGap, UnfinishedSequence } from './tail.ts';

/** One emulated terminal: what `Screen` feeds, and throws away when it breaks. Everything here is synchronous. */
export class Emulator {
  readonly engine: Engine;
  readonly modes: Modes;
  readonly #answer: (bytes: Uint8Array) => void;
  /** Bytes of a UTF-8 character that is not complete; the emulator has not seen them. */
  #character: Uint8Array = NOTHING;
  /** Bytes of a sequence that is not complete; the emulator stands in the middle of it. */
  readonly #sequence = new UnfinishedSequence();
  #isAnswering = false;
  #answers = '';

  constructor({
    cols,
    rows,
    scrollbackLines,
    answer,
  }: { cols: number; rows: number; scrollbackLines: number; answer(bytes: Uint8Array): void }) {
    this.#answer = answer;
    this.engine = new Engine({ cols, rows, scrollbackLines });
    const reply = (text: string) => {
      if (this.#isAnswering) this.#answers += text;
    };
    this.modes = new Modes(this.engine, { onColorQuery: (color) => queries.color(color) });
    const queries = answerQueries(this.engine, this.modes, reply);
  }

  /**
   * A query is answered when the chunk that ends it says so. Characters cut by the end of a chunk are kept back: upstream's decoder waits
   * for a byte too many when the last byte it has is 0x80, as in the first two of every dash, quote and ellipsis (E2 80 ..).
   */
  parse(chunk: Uint8Array, isAnswering: boolean): void {
    let bytes = this.#character.length > 0 ? Buffer.concat([this.#character, chunk]) : chunk;
    const cut = incompleteCharacter(bytes);
    this.#character = cut > 0 ? bytes.slice(bytes.length - cut) : NOTHING;
    if (cut > 0) bytes = bytes.subarray(0, bytes.length - cut);
    this.#isAnswering = isAnswering;
    this.#answers = '';
    this.engine.parse(bytes);
    this.#keepSequence(bytes);
    if (this.#answers) this.#answer(Buffer.from(this.#answers));
  }

  /** Whether no sequence and no character is open. */
  get isInGap(): boolean {
    return this.engine.isAtGround && this.#character.length === 0;
  }

  get nextGap(): NextGap {
    const { currentState: state, _transitions } = this.engine.core._inputHandler._parser;
    return new NextGap({ state, table: _transitions.table, character: this.#character });
  }

  snapshot({ firstLine, onto }: { firstLine: number; onto: Onto }): Uint8Array {
    return Buffer.concat([Buffer.from(clearTheWay(this.engine.rows, onto)), this.drawn({ firstLine })]);
  }

  /** The snapshot less what clears the way for it. */
  drawn({ firstLine }: { firstLine: number }): Uint8Array {
    return Buffer.concat([Buffer.from(serialize(this.engine, this.modes, { firstLine })), this.#sequence.bytes, this.#character]);
  }

  dispose(): void {
    this.engine.dispose();
  }

  #keepSequence(bytes: Uint8Array): void {
    if (this.engine.isAtGround) this.#sequence.clear();
    else this.#sequence.append(bytes, this.engine.core._inputHandler._parser._transitions.table);
  }
}

const NOTHING = new Uint8Array(0);
