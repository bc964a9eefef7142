/**
 * One Jest run over everything. Tests read the TypeScript sources, never a stale `dist`
 * (export condition `tollgate-source`), as native ES modules, so what runs here is what ships.
 */
export default {
  testMatch: ['<rootDir>/services/*/src/**/*.test.ts', '<rootDir>/test/**/*.test.ts'],
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['tollgate-source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  setupFilesAfterEnv: ['<rootDir>/test/second-try.ts'],
  modulePathIgnorePatterns: ['<rootDir>/services/[^/]+/dist/', '<rootDir>/.tollgate/'],
};
