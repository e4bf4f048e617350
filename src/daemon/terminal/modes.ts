import type { Engine, Params } from './engine.ts';

/** What programs ask of a terminal that the emulator itself does not keep. */
export class Modes {
  mouseEncoding: MouseEncoding = 'default';
  modifyOtherKeys = 0;
  /** Each screen has its own stack, as the kitty keyboard protocol wants. */
  kitty: { normal: KittyKeys; alternate: KittyKeys } = { normal: noKittyKeys(), alternate: noKittyKeys() };
  /** Private modes that change nothing in our screen and much in the terminal of whoever watches: what the program last asked for. */
  readonly passedOn = new Map<number, boolean>();
  /** Colours the program has set, as it wrote them: 0 to 255 by OSC 4, from 1010 by OSC 10 to 19. */
  readonly colors = new Map<number, string>();
  /** The last OSC 7, as it was written. */
  workingDirectory: string | null = null;
  hasTitle = false;
  readonly #engine: Engine;

  constructor(engine: Engine, { onColorQuery }: { onColorQuery(color: number): void }) {
    this.#engine = engine;
    engine.onCsi({ prefix: '?', final: 'h' }, (params) => this.#setModes(params, true));
    engine.onCsi({ prefix: '?', final: 'l' }, (params) => this.#setModes(params, false));
    engine.onCsi({ prefix: '>', final: 'm' }, (params) => this.#setKeyModifiers(params));
    engine.onCsi({ prefix: '>', final: 'n' }, (params) => {
      if (params.params[0] === 4) this.modifyOtherKeys = 0;
      return true;
    });
    this.#watchKitty();
    this.#watchColors(onColorQuery);
    engine.onOsc(7, (data) => {
      if (data.length <= DIRECTORY_LIMIT) this.workingDirectory = data;
      return true;
    });
    engine.core.onTitleChange(() => {
      this.hasTitle = true;
    });
    engine.onReset(() => this.#reset());
  }

  get kittyNow(): KittyKeys {
    return this.#engine.isAlternate ? this.kitty.alternate : this.kitty.normal;
  }

  #setModes(params: Params, isSet: boolean): boolean {
    for (let i = 0; i < params.length; i++) {
      const mode = params.params[i]!;
      const encoding = ENCODINGS.get(mode);
      if (encoding) this.mouseEncoding = isSet ? encoding : 'default';
      if (!PASSED_ON.has(mode)) continue;
      if (!isSet && OFF_EVERYWHERE.has(mode)) this.passedOn.delete(mode);
      else this.passedOn.set(mode, isSet);
    }
    return false;
  }

  #setKeyModifiers(params: Params): boolean {
    if (params.params[0] === 4 || params.params[0] === 0) this.modifyOtherKeys = params.length > 1 ? Math.min(params.params[1]!, 3) : 0;
    return true;
  }

  #watchKitty(): void {
    this.#engine.onCsi({ prefix: '=', final: 'u' }, (params) => {
      const keys = this.kittyNow;
      const flags = params.params[0]! & 31;
      const how = params.length > 1 ? params.params[1] : 1;
      keys.flags = how === 3 ? keys.flags & ~flags : how === 2 ? keys.flags | flags : flags;
      return true;
    });
    this.#engine.onCsi({ prefix: '>', final: 'u' }, (params) => {
      const keys = this.kittyNow;
      keys.stack.push(keys.flags);
      if (keys.stack.length > KITTY_STACK_LIMIT) keys.stack.shift();
      keys.flags = params.params[0]! & 31;
      return true;
    });
    this.#engine.onCsi({ prefix: '<', final: 'u' }, (params) => {
      const keys = this.kittyNow;
      for (let i = Math.min(params.params[0] || 1, KITTY_STACK_LIMIT + 1); i > 0; i--) keys.flags = keys.stack.pop() ?? 0;
      return true;
    });
  }

  #watchColors(onColorQuery: (color: number) => void): void {
    const set = (color: number, spec: string) =>
      spec === '?' ? onColorQuery(color) : spec && spec.length <= 64 && this.colors.set(color, spec);
    this.#engine.onOsc(4, (data) => {
      const slots = data.split(';', 2 * 256);
      for (let i = 0; i + 1 < slots.length; i += 2)
        if (/^\d{1,3}$/.test(slots[i]!) && Number(slots[i]) < 256) set(Number(slots[i]), slots[i + 1]!);
      return true;
    });
    this.#engine.onOsc(104, (data) => {
      if (data) for (const slot of data.split(';')) this.colors.delete(Number(slot));
      else for (const color of this.colors.keys()) if (color < 256) this.colors.delete(color);
      return true;
    });
    for (let special = 10; special <= 12; special++) {
      this.#engine.onOsc(special, (data) => {
        data.split(';', 3).forEach((spec, i) => {
          if (special + i <= 12) set(SPECIAL_COLOR + special + i, spec);
        });
        return true;
      });
      this.#engine.onOsc(100 + special, () => this.colors.delete(SPECIAL_COLOR + special) || true);
    }
  }

  #reset(): void {
    this.mouseEncoding = 'default';
    this.modifyOtherKeys = 0;
    this.kitty = { normal: noKittyKeys(), alternate: noKittyKeys() };
    this.passedOn.clear();
    this.colors.clear();
  }
}

export type MouseEncoding = 'default' | 'utf8' | 'sgr' | 'urxvt' | 'sgr-pixels';

export interface KittyKeys {
  flags: number;
  stack: number[];
}

export const SPECIAL_COLOR = 1000;
export const ENCODINGS: ReadonlyMap<number, MouseEncoding> = new Map([
  [1005, 'utf8'],
  [1006, 'sgr'],
  [1015, 'urxvt'],
  [1016, 'sgr-pixels'],
]);

/** Reverse video; key repeat; wheel as arrows; what Alt and Delete send; urgency and raising at a bell; colour scheme reports. */
export const PASSED_ON: ReadonlySet<number> = new Set([5, 8, 1007, 1034, 1035, 1036, 1037, 1039, 1042, 1043, 2031]);

/** Those of them that every terminal begins without, and that `RESET_TERMINAL` resets. The others' defaults are the user's affair. */
const OFF_EVERYWHERE: ReadonlySet<number> = new Set([5, 2031]);

const KITTY_STACK_LIMIT = 16;

/** Code units: PATH_MAX. A longer one is not a directory. */
const DIRECTORY_LIMIT = 4096;

function noKittyKeys(): KittyKeys {
  return { flags: 0, stack: [] };
}
