// Rules for the console's modules: ESLint's own recommendations, and what could make markup of text.
const js = require("@eslint/js");

const MARKUP = ["innerHTML", "outerHTML", "insertAdjacentHTML", "write", "writeln", "srcdoc"];

module.exports = [
  js.configs.recommended,
  {
    languageOptions: { sourceType: "module", ecmaVersion: 2024, globals: {} },
    rules: {
      "no-undef": "off", // the compiler knows the browser's names
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-restricted-properties": ["error", ...MARKUP.map((property) => ({ property, message: "Untrusted text is only ever text." }))],
      eqeqeq: "error",
      "prefer-const": "error",
      "no-unused-expressions": ["error", { allowTernary: true }],
    },
  },
];
