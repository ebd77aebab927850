SwaggerUIBundle({ url: '/openapi.json', dom_id: '#documents', validatorUrl: null, deepLinking: true });
