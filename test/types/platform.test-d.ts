import type * as node from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/platform.ts';
import type * as web from '../../src/platform/web.ts';
import type { Equal, Expect } from './expect.ts';

type Functions<Module> = { [Name in keyof Module]: Module[Name] };

export type BothPlatformsExportTheSame = Expect<Equal<Functions<typeof node>, Functions<typeof web>>>;
export type NothingBesidesThePlatform = Expect<Equal<keyof typeof node, keyof Platform>>;
