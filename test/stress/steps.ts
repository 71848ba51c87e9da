/** The slots of a meeting in which a thread says how far it is and tells a word. */

export const STEP = 0;
export const WORD = 1;
