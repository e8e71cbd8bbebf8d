/**
 * @generated SignedSource<<82e0145d7ab7b58253de0648a7c979f9>>
 * @relayHash 7d41ae71ebac41fa3dfd8f7855442c61
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

// @relayRequestID a264cff46b08b1cf5264d389ec8bf654618b6f9d237c7295e4e975a252c5e218

var node = (function(){
var v0 = [
  {
    "defaultValue": null,
    "kind": "LocalArgument",
    "name": "runId"
  }
],
v1 = [
  {
    "alias": null,
    "args": [
      {
        "kind": "Variable",
        "name": "runId",
        "variableName": "runId"
      }
    ],
    "concreteType": "SyncRun",
    "kind": "LinkedField",
    "name": "syncProgress",
    "plural": false,
    "selections": [
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "id",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "status",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "progress",
        "storageKey": null
      }
    ],
    "storageKey": null
  }
];
return {
  "fragment": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Fragment",
    "metadata": null,
    "name": "SyncProgressSubscription",
    "selections": (v1/*:: as any*/),
    "type": "Subscription",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Operation",
    "name": "SyncProgressSubscription",
    "selections": (v1/*:: as any*/)
  },
  "params": {
    "id": "a264cff46b08b1cf5264d389ec8bf654618b6f9d237c7295e4e975a252c5e218",
    "metadata": {},
    "name": "SyncProgressSubscription",
    "operationKind": "subscription",
    "text": null
  }
};
})();

node.hash = "b03a49d8f2b2292c1dd528a8a221a938";

module.exports = node;
