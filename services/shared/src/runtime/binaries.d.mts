export interface FoundProgram {
  program: string;
  /** Variables to add to the child's environment. */
  env: Record<string, string>;
  origin: 'path' | 'unpacked';
}

export interface FoundFolder {
  folder: string;
  env: Record<string, string>;
  origin: 'path' | 'unpacked';
}

export const projectRoot: string;
export const debianRoot: string;
export function onPath(name: string, path?: string): string | null;
export function libraryFolders(root?: string): string[];
export function unpackedEnvironment(root?: string): Record<string, string>;
export function findRedis(where?: { path?: string; root?: string }): FoundProgram | null;
export function findChromium(where?: { path?: string; root?: string }): FoundProgram | null;
export function findNginx(where?: { path?: string; root?: string; system?: string }): FoundProgram | null;
export function findPostgres(where?: { path?: string; root?: string; system?: string }): FoundFolder | null;
export function dyingWithParent(
  program: string,
  args: string[],
  signal: 'TERM' | 'KILL',
): { command: string; args: string[] };
