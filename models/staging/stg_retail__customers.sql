with

source as (

    select * from {{ source('retail', 'customer') }}

),

stg_retail__customers as (

    select
        customer_id,
        {{ trimmed('first_name') }} as first_name,
        {{ trimmed('last_name') }} as last_name,
        {{ trimmed('address') }} as address,
        {{ trimmed('pincode') }} as pincode,
        {{ trimmed('phone_number') }} as phone_number,
        customer_joining_date as joining_date

    from source

)

select * from stg_retail__customers
