// The scripts are joined into one scope (equivlib/explorer/page.py), so each part sees the names of
// those before it: whether a name is there is checked by TypeScript, which reads all of them.
export default [
  {
    files: ["equivlib/explorer/static/*.js"],
    languageOptions: { sourceType: "script", ecmaVersion: 2023 },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      "consistent-return": "error",
      curly: ["error", "multi-line", "consistent"],
      "default-case": "error",
      eqeqeq: "error",
      "max-lines-per-function": ["error", { max: 40, skipBlankLines: true, skipComments: true }],
      "max-params": ["error", 6],
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-param-reassign": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { vars: "local", args: "after-used", argsIgnorePattern: "^_" }],
      "no-use-before-define": "off",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
];
