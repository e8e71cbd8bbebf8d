import { pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";

/** Gives what opens a document in a tab of its own. */
export function useNewTab() {
  const { addTab } = useGraphiQLActions();
  const { queryEditor, variableEditor } = useGraphiQL(pick("queryEditor", "variableEditor"));
  return (text, variables = "") => {
    addTab();
    variableEditor.setValue(variables);
    queryEditor.setValue(text);
    queryEditor.focus();
  };
}
