/** A client of connect-kotlin, which is not ours: each way by which it can call, and what it was told, as JSON. */
import com.connectrpc.ConnectException
import com.connectrpc.Idempotency
import com.connectrpc.MethodSpec
import com.connectrpc.ProtocolClientConfig
import com.connectrpc.RequestCompression
import com.connectrpc.ResponseMessage
import com.connectrpc.SerializationStrategy
import com.connectrpc.StreamType
import com.connectrpc.compression.GzipCompressionPool
import com.connectrpc.extensions.GoogleJavaJSONStrategy
import com.connectrpc.extensions.GoogleJavaProtobufStrategy
import com.connectrpc.impl.ProtocolClient
import com.connectrpc.okhttp.ConnectOkHttpClient
import com.connectrpc.protocols.GETConfiguration
import com.connectrpc.protocols.NetworkProtocol
import com.google.gson.Gson
import com.google.protobuf.ByteString
import dev.fluo.kms.v1.EncryptPiiRequest
import dev.fluo.kms.v1.EncryptPiiResponse
import dev.fluo.kms.v1.PlainField
import dev.fluo.kms.v1.SignMode
import dev.fluo.kms.v1.SignSpansRequest
import dev.fluo.kms.v1.SignSpansResponse
import dev.fluo.kms.v1.StatusRequest
import dev.fluo.kms.v1.StatusResponse
import java.io.FileInputStream
import java.security.KeyStore
import java.security.cert.CertificateFactory
import java.util.concurrent.atomic.AtomicInteger
import javax.net.ssl.SSLContext
import javax.net.ssl.TrustManagerFactory
import javax.net.ssl.X509TrustManager
import kotlin.system.exitProcess
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import okhttp3.OkHttpClient

class Asked(val http: String, val http2: String, val ca: String, val token: String)

class Way(
    val protocol: NetworkProtocol = NetworkProtocol.CONNECT,
    val strategy: SerializationStrategy = GoogleJavaProtobufStrategy(),
    val compressed: Boolean = false,
    val byGet: Boolean = false,
)

/** How a call ended: OK, or the code, the text and the types of the details. */
class Told(val code: String, val text: String? = null, val details: List<String>? = null)

fun tellOf(error: ConnectException) =
    Told(error.code.codeName, error.message, error.details.map { it.type.substringAfterLast('/') }.ifEmpty { null })

val ok = Told("ok")
const val SERVICE = "fluo.kms.v1.KmsService"
val status =
    MethodSpec("$SERVICE/Status", StatusRequest::class, StatusResponse::class, StreamType.UNARY, Idempotency.NO_SIDE_EFFECTS)
val encrypt = MethodSpec("$SERVICE/EncryptPii", EncryptPiiRequest::class, EncryptPiiResponse::class, StreamType.UNARY)
val sign = MethodSpec("$SERVICE/SignSpans", SignSpansRequest::class, SignSpansResponse::class, StreamType.BIDI)

class Caller(private val asked: Asked) {
    private val headers = mapOf("authorization" to listOf("Bearer ${asked.token}"))
    private val http = trusting(asked.ca)

    private fun client(host: String, way: Way, timeout: Duration? = null) =
        ProtocolClient(
            ConnectOkHttpClient(http),
            ProtocolClientConfig(
                host = host,
                serializationStrategy = way.strategy,
                networkProtocol = way.protocol,
                requestCompression = if (way.compressed) RequestCompression(0, GzipCompressionPool) else null,
                getConfiguration = if (way.byGet) GETConfiguration.Enabled else GETConfiguration.Disabled,
                timeoutOracle = { timeout },
            ),
        )

    private suspend fun <I : Any, O : Any> call(by: ProtocolClient, method: MethodSpec<I, O>, request: I): Pair<Told, O?> =
        when (val response = by.unary(request, headers, method)) {
            is ResponseMessage.Success -> ok to response.message
            is ResponseMessage.Failure -> tellOf(response.cause) to null
        }

    suspend fun unary(way: Way): Map<String, Any?> {
        val by = client(asked.http, way)
        val (shown, answer) = call(by, status, StatusRequest.getDefaultInstance())
        if (way.byGet) return mapOf("status" to shown, "provider" to answer?.provider)
        val field = PlainField.newBuilder().setName("email").setValue(ByteString.copyFromUtf8("ada@example.org"))
        val request = EncryptPiiRequest.newBuilder().setTenantId("acme").addFields(field).build()
        val (encrypted, sealed) = call(by, encrypt, request)
        val (refused) = call(by, encrypt, request.toBuilder().setTenantId("A B").build())
        // The most fields of a call: no machine seals them within a millisecond.
        val many = EncryptPiiRequest.newBuilder().setTenantId("acme").addAllFields(List(1000) { field.build() }).build()
        val (late) = call(client(asked.http, way, 1.milliseconds), encrypt, many)
        return mapOf(
            "status" to shown,
            "provider" to answer?.provider,
            "encrypt" to encrypted,
            "sealed" to sealed?.fieldsCount,
            "refused" to refused,
            "late" to late,
        )
    }

    suspend fun streams(way: Way): Map<String, Any?> {
        val by = client(asked.http2, way)
        val (sent, signed) = bulk(by)
        val (first, again) = resent(by)
        val refused = by.stream(headers, sign)
        refused.send(SignSpansRequest.newBuilder().setTenantId("A B").build())
        return mapOf(
            "bulk" to ok,
            "spans" to sent * SPANS,
            "signed" to signed,
            "resend" to ok,
            "same" to (first == again),
            "refused" to
                try {
                    refused.responseChannel().receive()
                    ok
                } catch (error: ConnectException) {
                    tellOf(error)
                },
        )
    }

    /** Sends batches without an end, reads nothing until the service takes no more of them, and reads the rest then. */
    private suspend fun bulk(by: ProtocolClient): Pair<Int, Int> {
        val stream = by.stream(headers, sign)
        val sent = AtomicInteger()
        var isEnough = false
        var signed = 0
        runBlocking(Dispatchers.IO) {
            launch {
                while (!isEnough) {
                    stream.send(batch(sent.get(), SignMode.SIGN_MODE_INDIVIDUAL)).getOrThrow()
                    sent.incrementAndGet()
                }
                stream.sendClose()
            }
            var before = -1
            while (sent.get() != before) {
                before = sent.get()
                delay(500)
            }
            isEnough = true
            for (response in stream.responseChannel()) signed += response.resultsList.count { it.hasSigned() }
        }
        return sent.get() to signed
    }

    /** Sends a batch to a log, cuts the stream off before the answer, and sends it again on another. */
    private suspend fun resent(by: ProtocolClient): Pair<List<Long>, List<Long>> {
        suspend fun places(): List<Long> {
            val stream = by.stream(headers, sign)
            stream.send(batch(100, SignMode.SIGN_MODE_LOG)).getOrThrow()
            stream.sendClose()
            val found = mutableListOf<Long>()
            for (response in stream.responseChannel()) response.resultsList.mapTo(found) { it.signed.leafIndex }
            return found
        }
        val first = places()
        val lost = by.stream(headers, sign)
        lost.send(batch(100, SignMode.SIGN_MODE_LOG))
        lost.receiveClose()
        return first to places()
    }
}

const val SPANS = 400

fun batch(number: Int, mode: SignMode): SignSpansRequest {
    val request = SignSpansRequest.newBuilder().setTenantId("acme").setMode(mode).setRequestId("kotlin-${mode.number}-$number")
    val spans = request.addResourceSpansBuilder().addScopeSpansBuilder()
    for (at in 1..SPANS) {
        val id = ByteString.copyFromUtf8("%08d%08d".format(number + 1, at))
        spans.addSpansBuilder().setTraceId(id).setSpanId(id.substring(8)).setName("GET /records").setStartTimeUnixNano(1).endTimeUnixNano = 2
    }
    return request.build()
}

fun trusting(ca: String): OkHttpClient {
    val keys = KeyStore.getInstance(KeyStore.getDefaultType()).apply { load(null) }
    FileInputStream(ca).use { keys.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(it)) }
    val trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm()).apply { init(keys) }
    val manager = trust.trustManagers.filterIsInstance<X509TrustManager>().single()
    val tls = SSLContext.getInstance("TLS").apply { init(null, arrayOf(manager), null) }
    return OkHttpClient.Builder().sslSocketFactory(tls.socketFactory, manager).build()
}

fun main(args: Array<String>) {
    val caller = Caller(Gson().fromJson(args[0], Asked::class.java))
    val ways =
        mapOf(
            "Connect" to Way(),
            "Connect in JSON" to Way(strategy = GoogleJavaJSONStrategy()),
            "Connect, gzip" to Way(compressed = true),
            "gRPC-Web" to Way(NetworkProtocol.GRPC_WEB),
        )
    val told = mutableMapOf<String, Any?>()
    runBlocking {
        for ((name, way) in ways) told[name] = caller.unary(way)
        told["Connect by GET"] = caller.unary(Way(byGet = true))
        told["streams"] = (ways - "gRPC-Web").mapValues { (_, way) -> caller.streams(way) }
    }
    println(Gson().toJson(told))
    // The pools of OkHttp would keep the process for a minute.
    exitProcess(0)
}
