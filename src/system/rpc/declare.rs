//! How a protocol is declared.

/// Declares a protocol: the typed client and the trait of its endpoints.
///
/// `ask` methods return [`Ask`](crate::system::rpc::Ask); `tell` methods return nothing and may get lost silently. Handlers
/// of asks get a [`Reply`](crate::system::rpc::Reply) to answer now or later. Arguments and values must be serde types; both
/// sides check at connect that their lists of methods, names and types included, are the same.
#[macro_export]
macro_rules! gateway {
    (
        $(#[$meta:meta])*
        $vis:vis gateway $gateway:ident serves $handler:ident {
            $(
                $(#[$method_meta:meta])*
                $mode:ident $method:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone)]
        $vis struct $gateway {
            client: $crate::system::rpc::RpcClient,
        }

        impl $crate::system::rpc::Gateway for $gateway {
            const PROTOCOL: &'static $crate::system::rpc::Protocol = &$crate::system::rpc::Protocol {
                name: stringify!($gateway),
                methods: &[$(
                    $crate::system::rpc::Method {
                        kind: $crate::host::Kind::new(
                            concat!(stringify!($gateway), ".", stringify!($method))
                        ),
                        reply_kind: $crate::host::Kind::new(
                            concat!(stringify!($gateway), ".", stringify!($method), ".reply")
                        ),
                        is_ask: matches!(stringify!($mode).as_bytes(), b"ask"),
                        signature: $crate::host::Kind::new(concat!(
                            stringify!($mode), " ", stringify!($method),
                            "(", stringify!($($arg: $ty),*), ")", stringify!($($ret)?)
                        )).hash(),
                    },
                )+],
            };

            fn from_client(client: $crate::system::rpc::RpcClient) -> Self {
                $gateway { client }
            }

            fn client(&self) -> &$crate::system::rpc::RpcClient {
                &self.client
            }
        }

        impl $gateway {
            $($crate::gateway!(@client $gateway $(#[$method_meta])* $mode $method($($arg: $ty),*) $(-> $ret)?);)+
        }

        #[doc = concat!("What an endpoint behind a [`", stringify!($gateway), "`] must handle.")]
        $vis trait $handler: $crate::system::rpc::RpcEndpoint {
            $($crate::gateway!(@handler $(#[$method_meta])* $mode $method($($arg: $ty),*) $(-> $ret)?);)+
        }

        impl<E: $handler> $crate::system::rpc::Serves<E> for $gateway {
            fn dispatch(
                endpoint: &mut E,
                context: &mut $crate::system::rpc::Context<E>,
                call: $crate::system::rpc::Call,
            ) {
                $crate::gateway!(@methods $($method)+);
                match call.method() {
                    $(
                        method if method == Methods::$method as u16 => {
                            if let Some((($($arg,)*), _answer)) = call.decode::<($($ty,)*)>() {
                                $crate::gateway!(@invoke $mode endpoint context $method _answer ($($arg),*));
                            }
                        }
                    )+
                    _ => unreachable!("the mailbox takes only numbers of the protocol's methods"),
                }
            }
        }
    };
    (@methods $($method:ident)+) => {
        #[allow(non_camel_case_types, reason = "numbers the methods under their own names")]
        enum Methods { $($method),+ }
    };
    (@client $gateway:ident $(#[$meta:meta])* ask $method:ident($($arg:ident: $ty:ty),*) -> $ret:ty) => {
        $(#[$meta])*
        pub fn $method(&self, $($arg: $ty),*) -> $crate::system::rpc::Ask<$ret> {
            const NUMBER: usize = $crate::system::rpc::method_number(
                <$gateway as $crate::system::rpc::Gateway>::PROTOCOL,
                concat!(stringify!($gateway), ".", stringify!($method)),
            );
            const KIND: $crate::host::Kind =
                <$gateway as $crate::system::rpc::Gateway>::PROTOCOL.methods[NUMBER].kind;
            self.client.ask(NUMBER as u16, KIND, &($($arg,)*))
        }
    };
    (@client $gateway:ident $(#[$meta:meta])* tell $method:ident($($arg:ident: $ty:ty),*)) => {
        $(#[$meta])*
        pub fn $method(&self, $($arg: $ty),*) {
            const NUMBER: usize = $crate::system::rpc::method_number(
                <$gateway as $crate::system::rpc::Gateway>::PROTOCOL,
                concat!(stringify!($gateway), ".", stringify!($method)),
            );
            const KIND: $crate::host::Kind =
                <$gateway as $crate::system::rpc::Gateway>::PROTOCOL.methods[NUMBER].kind;
            self.client.tell(NUMBER as u16, KIND, &($($arg,)*));
        }
    };
    (@handler $(#[$meta:meta])* ask $method:ident($($arg:ident: $ty:ty),*) -> $ret:ty) => {
        $(#[$meta])*
        fn $method(
            &mut self,
            context: &mut $crate::system::rpc::Context<Self>,
            $($arg: $ty,)*
            reply: $crate::system::rpc::Reply<$ret>,
        );
    };
    (@handler $(#[$meta:meta])* tell $method:ident($($arg:ident: $ty:ty),*)) => {
        $(#[$meta])*
        fn $method(&mut self, context: &mut $crate::system::rpc::Context<Self>, $($arg: $ty,)*);
    };
    (@invoke ask $endpoint:ident $context:ident $method:ident $answer:ident ($($arg:ident),*)) => {
        $endpoint.$method($context, $($arg,)* $answer.typed())
    };
    (@invoke tell $endpoint:ident $context:ident $method:ident $answer:ident ($($arg:ident),*)) => {
        $endpoint.$method($context, $($arg,)*)
    };
}
