/** Before each test file: fast-check starts where SEED says, as everything else that draws at random. */

import fc from 'fast-check';
import { SEED } from './random.ts';

fc.configureGlobal({ seed: SEED });
