/** Name of the keys by which the console asks for somebody (`playground/own-keys.ts`). */
export const OWN_KEY_NAME = 'Playground';
