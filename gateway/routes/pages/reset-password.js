// Changes a password by the token of the link.

import { page } from "./mailed.js";

const password = document.getElementById("password");

document.getElementById("shown").addEventListener("change", (event) => {
  password.type = event.target.checked ? "text" : "password";
});

page({
  documentId: "sha256:af2722fde5eec6b634e74336d82c63944dd34236327780b1f0ac3ca5de4ecc39",
  field: "resetPassword",
  variables: (token) => ({ input: { token, newPassword: password.value } }),
  done: "Your password was changed, and you were signed out everywhere. Sign in with the new one.",
  another: "To get another, say once more where you sign in that you forgot your password.",
});
