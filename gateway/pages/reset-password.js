// Changes a password by the token of the link.

import { page } from "./mailed.js";

const password = document.getElementById("password");

document.getElementById("shown").addEventListener("change", (event) => {
  password.type = event.target.checked ? "text" : "password";
});

page({
  query: `mutation ResetPassword($token: String!, $newPassword: String!) {
  resetPassword(input: {token: $token, newPassword: $newPassword}) {
    reset
    errors { code message }
  }
}`,
  field: "resetPassword",
  variables: (token) => ({ token, newPassword: password.value }),
  done: "Your password was changed, and you were signed out everywhere. Sign in with the new one.",
  another: "To get another, say once more where you sign in that you forgot your password.",
});
