{% macro row_reasons(rules, severity) -%}
    concat_ws(
        ' | '
        {%- for rule in rules_of(rules, severity) %},
        {#- what the words quote may hold the mark that stands between reasons; and a
            reason is not lost where they come to null #}
        case
            when {{ rule.when }}
                then concat(
                    '{{ rule.code }}',
                    coalesce(concat(': ', translate({{ rule.words }}, '|', '¦')), '')
                )
        end
        {%- endfor %}
    )
{%- endmacro %}
